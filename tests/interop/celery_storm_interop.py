"""20,000 jobs with two workers, one killed with -9 every two seconds, the broker restarted once: every job is done, and
every run beyond the first is explained by a kill or by the restart. Python's client sends."""

import collections
import itertools
import os
import pathlib
import time
import unittest

from celery_case import Rabbitmq, Redis
from redis_process import RedisProcess

JOBS = int(os.environ.get("INTEROP_STORM_JOBS", "20000"))
JOB_SECONDS = 0.005
THREADS = 3
KILL_EVERY = 2
DRAIN_SECONDS = 120  # on a machine that others use too
# A run that ended long before its worker was killed has been acknowledged: results and acknowledgements leave at once,
# within 0.1 s even where the processor is shared by four times as many.
ACK_SECONDS = 3.0
Run = collections.namedtuple("Run", "begin end process")  # seconds of the steady clock; end is None: it was cut off


def read_runs(paths):
    """bench-trace.log of all workers: {id: [Run, …] by begin}."""
    open_runs, runs = {}, collections.defaultdict(list)
    for path in filter(pathlib.Path.exists, paths):
        for line in path.read_text(encoding="ascii").splitlines():
            what, nanoseconds, process, job = line.split()
            moment, key = int(nanoseconds) / 1e9, (job, int(process))
            if what == "begin":
                if key in open_runs:
                    runs[job].append(Run(open_runs.pop(key), None, key[1]))
                open_runs[key] = moment
            else:
                runs[job].append(Run(open_runs.pop(key), moment, key[1]))
    for (job, process), begin in open_runs.items():
        runs[job].append(Run(begin, None, process))
    for each in runs.values():
        each.sort()
    return runs


def done_of(runs):
    return {job for job, each in runs.items() if any(run.end for run in each)}


class Storm:
    """The test; a subclass says on which broker."""

    with_python = with_carillon = False
    options = ()

    def test_24_twenty_thousand_jobs_under_kill_9(self):
        queue = self.queue()
        self.kills, self.restarts = {}, []  # process -> when; (begin, end)
        workers = [self.carillon_worker(queue, threads=THREADS, options=self.options) for _ in range(2)]
        begin = time.monotonic()
        sent = self.send_all(queue)
        sending = time.monotonic() - begin
        self.rage(workers, queue, len(sent))
        ended = time.monotonic() - begin
        runs = self.runs_of(workers)
        done = done_of(runs)
        again = [(job, a, b) for job, each in runs.items() for a, b in itertools.pairwise(each)]
        reasons = collections.Counter(self.reason(a, b) for _, a, b in again)
        print(f"\n    {len(sent)} jobs sent within {sending:.1f} s, done after {ended:.1f} s; {len(self.kills)} kills, "
              f"{len(self.restarts)} restart; second runs: {dict(reasons) or 'none'}")
        self.assertEqual((len(self.restarts), len(self.kills) > 4), (1, True), "it was no storm")
        self.assertEqual(sent - done, set(), "jobs were lost")
        self.assertEqual(set(runs) - sent, set(), "jobs that nobody sent")
        self.assertEqual([each for each in again if not self.reason(*each[1:])], [], "unexplained second runs")
        in_hand = THREADS + self.rate(runs) * ACK_SECONDS
        for process in self.kills:
            mine = sum(a.process == process for _, a, _ in again)
            self.assertLessEqual(mine, in_hand, f"of process {process}")
        self.assert_results(sent)

    def send_all(self, queue):
        """The workers begin meanwhile."""
        with self.app.producer_pool.acquire(block=True) as producer:
            task = self.app.signature("bench.trace", args=(JOB_SECONDS,), queue=queue, **self.sending)
            return {task.apply_async(producer=producer).id for _ in range(JOBS)}

    def rage(self, workers, queue, count):
        """Kills in turns until nothing is left; after the third kill the broker is restarted."""
        deadline = time.monotonic() + DRAIN_SECONDS
        next_kill = time.monotonic()
        for victim in itertools.cycle(workers):
            if len(done_of(self.runs_of(workers))) >= count * 0.98:
                break
            self.assertLess(time.monotonic(), deadline, "the jobs are not done in time")
            self.kills[victim.pid] = time.monotonic()
            victim.kill()
            victim.start()
            if len(self.kills) == 3:
                began = time.monotonic()
                self.restart_broker()
                self.restarts.append((began, time.monotonic()))
            next_kill = max(next_kill + KILL_EVERY, time.monotonic())
            self.until(lambda: time.monotonic() >= next_kill, "the next kill")
        self.until_settled(queue, max(1, deadline - time.monotonic()))

    @staticmethod
    def runs_of(workers):
        return read_runs([worker.data_dir / "bench-trace.log" for worker in workers])

    @staticmethod
    def rate(runs):
        """Runs of one worker in a second, at most."""
        seconds = collections.Counter((run.process, int(run.begin)) for each in runs.values() for run in each)
        return max(seconds.values())

    def reason(self, first, second):
        """Why a job that had run so ran again; None: it should not have."""
        killed = self.kills.get(first.process)
        if killed and second.begin > killed and (first.end is None or first.end > killed - ACK_SECONDS):
            return "killed in the run" if first.end is None else "killed before it was acknowledged"
        for began, ended in self.restarts:
            if first.begin < ended and (first.end is None or first.end > began - ACK_SECONDS) and second.begin > began:
                return "the broker was restarted"
        return None


class StormOverRabbitmq(Storm, Rabbitmq, unittest.TestCase):
    sending = {"ignore_result": True}

    def restart_broker(self):
        self.broker.restart()

    def assert_results(self, sent):
        """Nobody waits for them."""


class StormOverRedis(Storm, Redis, unittest.TestCase):
    """A Redis that keeps what it has confirmed through kill -9: everything is written, though not synced, before it is
    answered. (With "everysec" a slow sync may delay the write.)"""

    options = ("--visibility-timeout", "10")
    sending = {}

    @classmethod
    def start_broker(cls):
        cls.broker = cls.running.enter_context(RedisProcess("--appendonly", "yes", "--appendfsync", "no"))
        cls.broker_url = cls.results_url = cls.broker.url()

    def restart_broker(self):
        self.broker.restart("kill")

    def assert_results(self, sent):
        wrong = []
        with self.broker.connect() as connection:
            ids = iter(sent)
            while some := list(itertools.islice(ids, 1000)):
                records = connection.command("MGET", *(f"celery-task-meta-{job}" for job in some))
                wrong += [job for job, record in zip(some, records) if b'"SUCCESS"' not in (record or b"")]
        self.assertEqual(wrong, [], "jobs without a result")


if __name__ == "__main__":
    unittest.main()
