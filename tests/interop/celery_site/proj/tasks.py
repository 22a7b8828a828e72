"""What the project's workers can do; each has a counterpart among the showcase's bench tasks."""

import threading

from celery import shared_task


@shared_task(name="proj.tasks.add")
def add(x, y):
    return x + y


@shared_task(name="proj.tasks.total")
def total(numbers):
    return {"numbers": numbers, "total": sum(numbers)}


@shared_task(name="proj.tasks.fail")
def fail(text):
    raise ValueError(text)


@shared_task(name="proj.tasks.sleep")
def sleep(seconds):
    threading.Event().wait(seconds)
    return seconds


@shared_task(name="proj.tasks.echo")
def echo(value):
    return value


@shared_task(name="proj.tasks.retry", bind=True, max_retries=None)
def retry(self, times):
    """Asks for another run so many times, then says how many there were."""
    if self.request.retries < times:
        raise self.retry(countdown=0.2, exc=RuntimeError("not yet"))
    return self.request.retries


@shared_task(name="proj.tasks.progress", bind=True)
def progress(self, steps):
    for number in range(steps):
        self.update_state(state="PROGRESS", meta={"done": number + 1, "total": steps})
    return steps
