"""The recorded messages of Celery 5.2.6 and 5.6.3, and how they are compared."""

import collections
import datetime
import json

from carillon_process import ROOT
from celery_case import FINAL

VECTORS = json.loads((ROOT / "tests/data/celery_vectors.json").read_text(encoding="utf-8"))
RELEASES = tuple(VECTORS["amqp"])
NODE = "w1@host1"
DELAY_SECONDS = 2  # of every recorded countdown, from now


def recorded(release, kind, *scenarios):
    """(scenario, message) of a kind, in the order in which they were published."""
    return [(scenario, message) for scenario, messages in VECTORS["amqp"][release].items()
            for message in messages if message["kind"] == kind and (not scenarios or scenario in scenarios)]


def from_sender(message):
    """Whether a task was sent by the client, not by the worker that ran another one."""
    headers = message["properties"]["headers"]
    return headers["parent_id"] is None and headers["retries"] == 0


def in_present(headers):
    """The headers of a task with its moments moved: the eta is in two seconds."""
    if not headers.get("eta"):
        return headers
    moved, begin = dict(headers), datetime.datetime.fromisoformat(headers["eta"])
    shift = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=DELAY_SECONDS) - begin
    for name in ("eta", "expires"):
        if headers.get(name):
            moved[name] = (datetime.datetime.fromisoformat(headers[name]) + shift).isoformat()
    return moved


def ended(replies):
    return bool(replies) and replies[-1]["status"] in FINAL


def states_in(replies):
    """The states of one task's results; Celery tells of a hard time limit twice."""
    states = [reply["status"] for reply in replies]
    return [state for at, state in enumerate(states) if at == 0 or state != states[at - 1]]


def shape(value):
    """The members of objects, through lists, without what they hold."""
    if isinstance(value, dict):
        return {name: shape(content) for name, content in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def by_task(replies):
    found = collections.defaultdict(list)
    for reply in replies:
        found[reply["task_id"]].append(reply)
    return found
