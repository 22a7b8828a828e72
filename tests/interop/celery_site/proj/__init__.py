"""A small Celery project: `celery --app proj worker`."""

from proj.celery import app, make_app

__all__ = ["app", "make_app"]
