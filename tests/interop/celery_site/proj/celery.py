"""The Celery application; the environment says where its broker and its results are."""

import json
import os

from celery import Celery


def make_app(broker, results, **settings):
    """An application with the project's tasks on that broker."""
    made = Celery("proj", broker=broker, backend=results, include=["proj.tasks"], set_as_current=False)
    made.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1,
                     broker_connection_retry=True, broker_connection_max_retries=None,
                     task_create_missing_queues=True, broker_transport_options={"visibility_timeout": 3600}, **settings)
    return made


app = make_app(os.environ.get("INTEROP_CELERY_BROKER", "memory://"), os.environ.get("INTEROP_CELERY_RESULTS"),
               beat_schedule=json.loads(os.environ.get("INTEROP_CELERY_BEAT", "{}")))
