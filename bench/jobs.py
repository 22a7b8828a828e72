#!/usr/bin/python3
"""Measures no-op jobs drained from a full queue by one worker process, beside `celery worker -c 2`.

    bench/jobs.py [--rounds 3] [--jobs 20000] [--celery-jobs 4000] [--stores rabbitmq,redis,embedded]
    bench/jobs.py --memory 200000

Starts its own RabbitMQ and Redis. Both workers get the same messages in turns; the table holds the medians of the
rounds, and jobs per CPU second of Carillon divided by Celery's. CPU is that of the worker's processes between two marks
among the jobs: starting up is not in it. `--memory` drains one long queue of each store instead and tells what the
worker held on its way. Needs Debian's celery, rabbitmq-server and redis-server, and a release build.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import time

import job_stores
from carillon_process import CarillonProcess, wait_until

HERE = pathlib.Path(__file__).resolve().parent
STORES = {"rabbitmq": job_stores.RabbitmqStore, "redis": job_stores.RedisStore, "embedded": job_stores.EmbeddedStore}
STOP_SECONDS = 60


class CeleryProcess:
    """`celery worker -c 2`, with the methods of CarillonProcess that a measurement needs."""

    def __init__(self, store, keep_results):
        broker, results = store.urls()
        environment = {**os.environ, "BENCH_BROKER": broker, "BENCH_RESULTS": results,
                       "BENCH_KEEP": str(int(keep_results)), "PYTHONDONTWRITEBYTECODE": "1"}
        self.child = subprocess.Popen(
            ["/usr/bin/python3", "-m", "celery", "-A", "celery_noop", "worker", "-c", "2"], cwd=HERE, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.child.pid

    def stop(self):
        self.child.terminate()
        return self.child.wait(timeout=STOP_SECONDS)

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def carillon_process(store, keep_results):
    """A worker process of the showcase on a store."""
    del keep_results  # each message says it
    broker, results = store.urls()
    process = CarillonProcess("--bench", "-c", "2", "--broker", broker, "--result-backend", results, command="worker",
                              beside=getattr(store, "process", None))
    return process.start()


def family(pid):
    """A process and all below it."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    return found


def cpu_seconds(pid):
    """What all threads of the worker's processes have used, in user and kernel mode."""
    total = 0
    for one in family(pid):
        for schedule in pathlib.Path(f"/proc/{one}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(schedule.read_text(encoding="ascii").split()[0])
    return total / 1e9


def resident_mib(pid):
    """Memory of the worker's own process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the worker has ended")


class Drain:
    """One queue, filled and drained: what it took between two marks, and what the worker held at each.

    Jobs follow the last mark that counts, and precede the first: the worker is as busy at one reading as at the other,
    and what it does until the mark is heard is in both."""

    def __init__(self, store, make_worker, marks, keep_results):
        marks = [*marks, marks[-1] + marks[0]]
        count = marks[-1] + 1
        store.fill(count, set(marks), keep_results)
        worker = make_worker(store, keep_results)
        try:
            self.seen = []
            for number in range(len(marks)):
                store.wait_for_mark(number)
                self.seen.append((time.monotonic(), cpu_seconds(worker.pid), resident_mib(worker.pid)))
            wait_until(lambda: store.depth() == 0, STOP_SECONDS, "nothing is left in the queue")
            worker.stop()
        finally:
            worker.close()
        # Celery puts a job back that it has done when it is stopped right after it: not what is measured.
        if make_worker is carillon_process and store.depth() != 0:
            raise AssertionError(f"{store.depth()} of {count} jobs were not done")
        if make_worker is carillon_process and keep_results:
            wait_until(lambda: store.results() >= count - len(marks), STOP_SECONDS, "every job has its result")
        jobs = marks[-2] - marks[0]
        (begin, cpu_before, _), (end, cpu_after, _) = self.seen[0], self.seen[-2]
        self.per_second = count / store.seconds() if hasattr(store, "seconds") else jobs / (end - begin)
        self.cpu_us = (cpu_after - cpu_before) / jobs * 1e6


def marks_of(jobs):
    """The measured ones lie between them."""
    return [jobs // 10, jobs // 10 + jobs]


def measure(store, options, keep_results):
    """Prints the rows of one store."""
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(Drain(store, carillon_process, marks_of(options.jobs), keep_results))
        if store.name != "embedded":
            theirs.append(Drain(store, CeleryProcess, marks_of(options.celery_jobs), keep_results))
    what = f"{store.name}, results {'kept' if keep_results else 'ignored'}" if theirs else store.name
    print(row(what, "Carillon", ours), flush=True)
    if theirs:
        ratio = statistics.median(b.cpu_us / a.cpu_us for a, b in zip(ours, theirs))
        print(row(what, "celery -c 2", theirs) + f" {ratio:.1f} |", flush=True)


def row(what, who, drains):
    cpu = statistics.median(one.cpu_us for one in drains)
    rate = statistics.median(one.per_second for one in drains)
    return f"| {what} | {who} | {cpu:.1f} | {1e6 / cpu:,.0f} | {rate:,.0f} |"


def show_memory(store, count):
    """Prints what the worker holds on its way through a long queue."""
    marks = [count // 10, count // 2, count]
    drained = Drain(store, carillon_process, marks, False)
    held = [seen[2] for seen in drained.seen[:len(marks)]]
    slope = (held[-1] - held[0]) * 2**20 / (marks[-1] - marks[0])
    cells = " | ".join(f"{one:.1f}" for one in held)
    print(f"| {store.name} | {cells} | {slope:+.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=20_000, help="in the queue for Carillon")
    parser.add_argument("--celery-jobs", type=int, default=4_000, help="in the queue for Celery")
    parser.add_argument("--stores", default=",".join(STORES), help="which, comma-separated")
    parser.add_argument("--memory", type=int, metavar="JOBS", help="measure memory over so many jobs, and nothing else")
    options = parser.parse_args()
    if options.memory:
        print(f"| MiB after | {options.memory // 10:,} jobs | {options.memory // 2:,} | {options.memory:,} | "
              "bytes per job |\n| --- | --- | --- | --- | --- |")
    else:
        print("| queue | worker | CPU µs a job | jobs per CPU second | jobs per second | ratio |\n"
              "| --- | --- | --- | --- | --- | --- |")
    for name in options.stores.split(","):
        with STORES[name]() as store:
            if options.memory:
                show_memory(store, options.memory)
                continue
            for keep_results in (False, True)[:1 if name == "embedded" else 2]:
                measure(store, options, keep_results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
