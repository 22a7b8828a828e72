"""Jobs survive: worker processes killed every second, and the server stopped and killed in the middle of a job."""

import collections
import concurrent.futures
import contextlib
import os
import sqlite3
import time
import unittest

from carillon_process import CarillonProcess, wait_until
from raw_websocket import HandshakeRefused
from report_client import FINAL, Watcher, start_demo, state

JOBS = int(os.environ.get("CARILLON_SCENARIO_JOBS", "200"))
KILL_SECONDS = 20
WORKERS = 3
FINISH_SECONDS = 150


def attempts_by_job(data_dir):
    """How often each job was run, from the database of the embedded queue."""
    for path in data_dir.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = {name for name, in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "jobs" in tables:
                return [attempts for attempts, in database.execute("SELECT attempts FROM jobs")]
    raise AssertionError(f"no database below {data_dir} has a table of jobs")


class KilledWorkers(unittest.TestCase):

    def test_every_job_is_completed_though_a_worker_process_is_killed_every_second(self):
        with CarillonProcess("--workers", "0") as server, contextlib.ExitStack() as stack:
            workers = [stack.enter_context(CarillonProcess("-c", "2", command="worker", beside=server))
                       for _ in range(WORKERS)]
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                ids = list(pool.map(lambda _: start_demo(server, 4, 0.25), range(JOBS)))
            self.assertEqual(len(set(ids)), JOBS)
            kills = self.kill_one_every_second(workers)
            wait_until(lambda: all(state(server, job)["status"] in FINAL for job in ids), FINISH_SECONDS,
                       "every job has ended")
            ends = collections.Counter(state(server, job)["status"] for job in ids)
            self.assertEqual(dict(ends), {"completed": JOBS})
            self.assertTrue(all(state(server, job)["progress"] == 100 for job in ids))
            attempts = collections.Counter(attempts_by_job(server.data_dir))
            self.assertEqual(sum(attempts.values()), JOBS)
            self.assertGreater(sum(count for runs, count in attempts.items() if runs > 1), 0, "no kill hit a job")
            runs = ", ".join(f"{count} ran {times} times" for times, count in sorted(attempts.items()))
            print(f"\n    {JOBS} jobs, {kills} kills: {runs}")

    def kill_one_every_second(self, workers):
        """kill -9 of one process each second, and its restart; returns how many were killed."""
        begin = time.monotonic()
        for number in range(KILL_SECONDS):
            due = begin + number + 1
            wait_until(lambda at=due: time.monotonic() >= at, 5, "the next second")
            worker = workers[number % len(workers)]
            self.assertIsNone(worker.child.poll(), f"a worker ended by itself:\n{worker.log_tail()}")
            worker.restart("kill")
        return KILL_SECONDS


class RestartedServer(unittest.TestCase):
    """The job goes on, and a page that comes back sees at once where it stands."""

    def watch_through(self, how, expected_end, welcome):
        with CarillonProcess("--workers", "1") as server:
            job = start_demo(server, 12, 0.3)
            with Watcher(server, job) as page:
                seen = page.frames_until(lambda frame: frame["progress"] >= 20, 10)
                progress = [frame["progress"] for frame in seen]
                self.assertEqual(progress, sorted(progress))
                getattr(server, how)()
                ends = [event for event in page.until_end(10) if event is None or event[0] != "message"]
                self.assertEqual([event and event[:2] for event in ends][:len(expected_end)], expected_end)
            self.assertEqual(server.child.returncode, {"stop": 0, "quit": 1, "kill": -9}[how])
            server.start()
            with Watcher(server, job) as page:
                present = page.frame(2)
                self.assertIn(present["status"], welcome)
                last = present
                if present["status"] not in FINAL:
                    last = page.frames_until(lambda frame: frame["status"] in FINAL, 40)[-1]
            self.assertEqual((last["status"], last["progress"]), ("completed", 100))
            self.assertEqual(state(server, job)["status"], "completed")
            with Watcher(server, job) as late:
                self.assertEqual(late.frame(2)["status"], "completed")

    def test_after_sigterm(self):
        # A server that is asked to stop may finish its job first, or hand it back.
        self.watch_through("stop", [("close", 1012), ("end", "eof")], ("started", "in_progress", "completed"))

    def test_after_sigquit(self):
        self.watch_through("quit", [], ("started", "in_progress"))

    def test_after_kill_9(self):
        self.watch_through("kill", [], ("started", "in_progress"))

    def test_job_of_a_killed_worker_process_is_finished_by_another_and_shown_live(self):
        with CarillonProcess("--workers", "0") as server:
            job = start_demo(server, 10, 0.3)
            with Watcher(server, job) as page:
                with CarillonProcess("-c", "1", command="worker", beside=server) as worker:
                    page.frames_until(lambda frame: frame["progress"] >= 20, 15)
                    worker.kill()
                with CarillonProcess("-c", "1", command="worker", beside=server):
                    frames = page.frames_until(lambda frame: frame["status"] in FINAL, 40)
            self.assertEqual(frames[-1]["status"], "completed")

    def test_unknown_job_is_closed_with_4404(self):
        with CarillonProcess("--workers", "0") as server:
            try:
                with Watcher(server, "00000000-0000-4000-8000-000000000000") as page:
                    self.assertEqual((page.event(5) or ("nothing",))[:2], ("close", 4404))
            except HandshakeRefused as refused:
                self.fail(f"a browser cannot see {refused}")


if __name__ == "__main__":
    unittest.main()
