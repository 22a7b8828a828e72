"""The Celery application that bench/jobs.py measures beside Carillon: the same tasks under the same names."""

import os

import celery

app = celery.Celery("noop", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
app.conf.broker_connection_retry_on_startup = True


@app.task(name="bench.noop", ignore_result=os.environ["BENCH_KEEP"] == "0")
def noop():
    """Nothing."""


@app.task(name="bench.add")
def add(x, y):
    """A mark among the no-ops: its result is always stored."""
    return x + y
