"""The Celery application; the environment says where its broker and its results are."""

import json
import os

from celery import Celery
from celery.backends.redis import RedisBackend


class PrefixedResults(RedisBackend):
    """Results as Celery 5.3 and later keep them under result_backend_transport_options' global_keyprefix, which Celery
    5.2 does not know."""

    def __init__(self, *arguments, app=None, **more):
        prefix = app.conf.result_backend_transport_options.get("global_keyprefix", "")
        for name in ("task_keyprefix", "group_keyprefix", "chord_keyprefix"):
            plain = getattr(RedisBackend, name)
            setattr(self, name, prefix + (plain.decode() if isinstance(plain, bytes) else plain))
        super().__init__(*arguments, app=app, **more)


def make_app(broker, results, prefix="", **settings):
    """An application with the project's tasks on that broker; `prefix` is before all names in Redis."""
    made = Celery("proj", broker=broker, include=["proj.tasks"], set_as_current=False,
                  backend=f"{__name__}.PrefixedResults+{results}" if prefix else results)
    named = {"global_keyprefix": prefix} if prefix else {}
    made.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1,
                     broker_connection_retry=True, broker_connection_max_retries=None,
                     task_create_missing_queues=True, broker_transport_options={"visibility_timeout": 3600, **named},
                     result_backend_transport_options=named, **settings)
    return made


app = make_app(os.environ.get("INTEROP_CELERY_BROKER", "memory://"), os.environ.get("INTEROP_CELERY_RESULTS"),
               os.environ.get("INTEROP_CELERY_PREFIX", ""),
               beat_schedule=json.loads(os.environ.get("INTEROP_CELERY_BEAT", "{}")))
