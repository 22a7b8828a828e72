"""Schedules over the embedded queue: several beats of which some die, an outage, beats inside serve and worker."""

import contextlib
import sqlite3
import time
import unittest

from beats import TICK, BeatProcess, lines, moment, run_and_kill, write_schedule
from carillon_process import CarillonProcess, wait_until

JOB_SECONDS = 20
LATE_SECONDS = 10  # of moments that were missed by more only the last is made up for


def jobs(process):
    """(id, state) of all jobs in the embedded queue; state 4 is completed."""
    path = process.data_dir / "queue.db"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone():
            return []  # the queue is being made
        return database.execute("SELECT id, state FROM jobs").fetchall()


def identities(process):
    """Of the schedule in the configuration file; --bench brings another one."""
    return [one for one, _ in jobs(process) if one.startswith(f"{TICK}@")]


class SeveralBeats(unittest.TestCase):

    def test_two_beats_of_which_one_after_the_other_is_killed_lose_no_moment_and_serve_none_twice(self):
        with contextlib.ExitStack() as stack:
            first = BeatProcess("--bench")
            stack.callback(first.close)
            second = BeatProcess("--bench", beside=first)
            stack.callback(second.close)
            twice = run_and_kill(self, [first, second], lambda: identities(first))
            self.assertEqual(twice, set())

    def test_of_what_was_missed_while_no_beat_ran_the_last_is_made_up_for(self):
        with BeatProcess("--bench") as only:
            wait_until(lambda: identities(only), JOB_SECONDS, "the first job")
            self.assertEqual(only.stop(), 0)
            before = {moment(one) for one in identities(only)}
            back = max(before) + LATE_SECONDS + 3
            wait_until(lambda: time.time() > back + 0.2, LATE_SECONDS + 10, "more than those seconds have passed")
            only.start()
            wait_until(lambda: len(set(map(moment, identities(only))) - before) >= 2, JOB_SECONDS, "two further jobs")
            after = sorted(set(map(moment, identities(only))) - before)
            self.assertGreaterEqual(after[0], back)
            self.assertEqual(after, list(range(after[0], after[-1] + 1)))


class BeatsWithin(unittest.TestCase):

    def completed(self, process, name):
        return [one for one, state in jobs(process) if state == 4 and one.startswith(f"{name}@")]

    def test_serve_sends_and_runs_the_jobs_of_schedules(self):
        with CarillonProcess("--bench", "--beat") as server:
            wait_until(lambda: len(self.completed(server, "bench noop")) >= 2, JOB_SECONDS, "two jobs have run")
            _, _, metrics = server.request("GET", "/metrics")
            self.assertRegex(metrics.decode(), r"(?m)^carillon_beat_jobs_total [2-9]")
            shown = lines(server, "schedule")[0]
            self.assertEqual((shown["task"], shown["when"]), ("bench.noop", "every 1 s"))
            self.assertRegex(shown["next"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$")
            self.assertEqual(server.stop(), 0)

    def test_a_worker_with_b_does_so_too(self):
        worker = CarillonProcess("--bench", "-B", command="worker")
        with contextlib.closing(worker):
            write_schedule(worker, "bench.add", arguments=(2, 3), name="sum")
            worker.start()
            wait_until(lambda: self.completed(worker, "sum"), JOB_SECONDS, "a job has run")
            self.assertEqual(worker.stop(), 0)

    def test_a_task_that_nobody_knows_is_told_at_once(self):
        beat = CarillonProcess(command="beat")
        with contextlib.closing(beat):
            write_schedule(beat, "no.such")
            said = beat.run("beat")
            self.assertEqual(said.returncode, 1)
            self.assertIn('schedule entry "tick": no task is registered as `no.such`', said.stderr)
            self.assertEqual(beat.run("check").returncode, 0)


if __name__ == "__main__":
    unittest.main()
