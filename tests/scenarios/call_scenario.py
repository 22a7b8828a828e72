"""What `call` can be told about the job that it enqueues."""

import contextlib
import sqlite3
import time
import unittest

from carillon_process import CarillonProcess


def job(process, identity):
    """Queue, priority and state of a job in the embedded queue."""
    with contextlib.closing(sqlite3.connect(f"file:{process.data_dir / 'queue.db'}?mode=ro", uri=True)) as database:
        return database.execute("SELECT queue, priority, state FROM jobs WHERE id = ?", (identity,)).fetchone()


class CallOptions(unittest.TestCase):

    def test_a_job_waits_for_its_time(self):
        with CarillonProcess("--bench", command="worker") as worker:
            begin = time.monotonic()
            done = worker.run("call", "bench.add", "[2, 3]", "--countdown", "1.5", "--wait", "--bench")
            self.assertEqual((done.returncode, done.stdout.strip()), (0, "5"), done.stderr)
            self.assertGreaterEqual(time.monotonic() - begin, 1.5)
            past = worker.run("call", "bench.add", "[2, 4]", "--eta", "2026-01-01T00:00:00Z", "--wait", "--bench")
            self.assertEqual(past.stdout.strip(), "6", past.stderr)
            late = worker.run("call", "bench.add", "[2, 4]", "--expires", "2026-01-01T00:00:00", "--wait", "--bench")
            self.assertEqual(late.returncode, 1)
            self.assertIn("cancelled", late.stderr)

    def test_queue_and_priority(self):
        place = CarillonProcess(command="call")
        with contextlib.closing(place):
            sent = place.run("call", "bench.noop", "--bench", "-Q", "slow", "--priority", "7", "--expires", "60")
            self.assertEqual(sent.returncode, 0, sent.stderr)
            self.assertEqual(job(place, sent.stdout.strip())[:2], ("slow", 7))

    def test_what_makes_no_sense_is_refused(self):
        place = CarillonProcess(command="call")
        with contextlib.closing(place):
            for code, words, said in ((1, ["--eta", "tomorrow"], "'tomorrow' is not a time such as"),
                                      (1, ["--expires", "-5"], "'-5' is neither a number of seconds nor a time"),
                                      (2, ["--priority", "10"], "--priority"),
                                      (2, ["--countdown", "-1"], "--countdown"),
                                      (2, ["--countdown", "1", "--eta", "2030-01-01T00:00:00Z"], "--eta")):
                done = place.run("call", "bench.noop", "--bench", *words)
                self.assertEqual(done.returncode, code, (words, done.stderr))
                self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
