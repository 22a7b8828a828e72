"""Messages that Celery's workers were seen to refuse, or to die of, sent to a worker of Carillon: it stays up, the
outcome is Celery's where Celery survives, and the next good job runs. Scenario 30."""

import base64
import datetime
import json
import time
import unittest
import uuid
import zlib

import amqp

from carillon_process import ROOT
from celery_case import Rabbitmq, Redis

VECTORS = json.loads((ROOT / "tests/data/celery_vectors.json").read_text(encoding="utf-8"))["hand_made_task_messages"]
RELEASES = ("5_2_6", "5_6_3")
BODY = b"[[2, 3], {}, {}]"
GONE = object()  # as a value: without that member


def moment(seconds, ending="+00:00"):
    """ISO time so many seconds from now."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + ending


class Sample:
    """One message; it starts as a good one."""

    def __init__(self, headers=None, body=BODY, **properties):
        self.id = f"sample-{uuid.uuid4()}"
        wanted = {"task": "bench.add", "id": self.id, **(headers or {})}
        self.headers = {name: value for name, value in wanted.items() if value is not GONE}
        self.body = body
        usual = {"content_type": "application/json", "content_encoding": "utf-8", "correlation_id": self.id,
                 "reply_to": "", "delivery_mode": 2, "priority": 0}
        self.properties = {**usual, **properties}

    def without_headers(self, **content):
        """Protocol 1: everything in the body."""
        self.headers = {}
        self.body = json.dumps({"task": "bench.add", "id": self.id, "args": [2, 3], **content}).encode()
        return self


def samples_of_amqp(reply_to):
    """Every message of the vectors by its name there."""
    def sample(headers=None, body=BODY, **properties):
        return Sample(headers, body, **{"reply_to": reply_to, **properties})

    protocol_1 = {"kwargs": {}, "retries": 0, "eta": None, "expires": None, "utc": True, "callbacks": None,
                  "errbacks": None, "timelimit": [None, None], "taskset": None, "chord": None, "group": None}
    return {
        "minimal task+id": sample(),
        "minimal, embed {} missing (2 items)": sample(body=b"[[2, 3], {}]"),
        "embed null": sample(body=b"[[2, 3], {}, null]"),
        "lang=cpp": sample({"lang": "cpp"}),
        "no id": sample({"id": GONE}),
        "id not uuid": sample({"lang": "py"}),
        "args as object": sample(body=b'[{"x": 2}, {}, {}]'),
        "kwargs only": sample(body=b'[[], {"x": 5, "y": 6}, {}]'),
        "kwargs null": sample(body=b"[[2, 3], null, {}]"),
        "content_type missing": sample(content_type=None),
        "content_encoding missing": sample(content_encoding=None),
        "content_encoding binary": sample(content_encoding="binary"),
        "content_encoding UTF-8 upper": sample(content_encoding="UTF-8"),
        "ctype text/json": sample(content_type="text/json"),
        "ctype x-pickle": sample(body=b"\x80\x04]\x94.", content_type="application/x-python-serialize"),
        "zlib compressed": sample({"compression": "application/x-gzip"}, zlib.compress(BODY)),
        "eta naive past": sample({"eta": moment(-100, "")}),
        "eta Z": sample({"eta": moment(-100, "Z")}),
        "eta +02:00": sample({"eta": moment(7100, "+02:00")}),
        "eta bad": sample({"eta": "next tuesday"}),
        "expires past": sample({"expires": moment(-100)}),
        "timelimit missing": sample({"retries": 0}),
        "retries 2": sample({"task": "bench.retry", "retries": 2}, b"[[2], {}, {}]"),
        "ignore_result true": sample({"ignore_result": True}),
        "correlation differs": sample(correlation_id=str(uuid.uuid4())),
        "no correlation": sample(correlation_id=None),
        "no reply_to": sample(reply_to=None),
        "empty reply_to": sample(reply_to=""),
        "delivery transient": sample(delivery_mode=1),
        "result unserialisable arg bytes body": sample(body=b'[["\xff\xfe", 3], {}, {}]'),
        "body not json": sample(body=b"{[this is not json"),
        "unknown task": sample({"task": "bench.no_such_task"}),
        "proto v1": sample().without_headers(**protocol_1),
        "proto v1 minimal": sample().without_headers(),
        "hybrid v2 hdr + v1 body": sample(body=b'{"args": [2, 3], "kwargs": {}}'),
        "empty object": sample(body=b"{}"),
    }


def element(sample, queue, **changes):
    """The sample as an element of a list in Redis; `changes` are of the envelope or, p_ in front, its properties."""
    properties = {"correlation_id": sample.id, "reply_to": str(uuid.uuid4()), "delivery_mode": 2, "priority": 0,
                  "delivery_info": {"exchange": "", "routing_key": queue}, "body_encoding": "base64",
                  "delivery_tag": str(uuid.uuid4())}
    envelope = {"body": base64.b64encode(sample.body).decode(), "content-encoding": "utf-8",
                "content-type": "application/json", "headers": sample.headers, "properties": properties}
    for name, value in changes.items():
        into, key = (properties, name[2:]) if name.startswith("p_") else (envelope, name.replace("_", "-"))
        into[key] = value
    for one in (properties, envelope):
        for key in [key for key, value in one.items() if value is GONE]:
            del one[key]
    return json.dumps(envelope)


def samples_of_redis(queue):
    """Every element of the vectors: name -> (sample, list, element)."""
    def made(where=queue, **changes):
        sample = Sample()
        return sample, where, element(sample, queue, **changes)

    plain = BODY.decode()
    broken = Sample()
    return {
        "minimal": made(),
        "no delivery_tag": made(p_delivery_tag=GONE),
        "no delivery_info": made(p_delivery_info=GONE),
        "delivery_info {}": made(p_delivery_info={}),
        "no body_encoding + plain body": made(body=plain, p_body_encoding=GONE),
        "body_encoding utf-8 + plain": made(body=plain, p_body_encoding="utf-8"),
        "body_encoding null + plain": made(body=plain, p_body_encoding=None),
        "no content-type": made(content_type=GONE),
        "no priority": made(p_priority=GONE),
        "no reply_to/correlation": made(p_reply_to=GONE, p_correlation_id=GONE),
        "no headers key": made(headers=GONE),
        "no properties": made(properties=GONE),
        "delivery_tag int": made(p_delivery_tag=12345),
        "not json": (broken, queue, "{this is not json"),
        "pri key 3": made(queue + "\x06\x163", p_priority=3),
        "pri key 9": made(queue + "\x06\x169", p_priority=9),
        "pri key 5 (not a step)": made(queue + "\x06\x165", p_priority=5),
    }


class Outcomes:
    """How the records of samples are compared with what Celery was seen to do."""

    with_python = False

    def seen(self, broker):
        """What either release of Celery did: {name: outcome}; a death of the worker counts as no result."""
        return {row["input"]: row["outcome"] for release in RELEASES for row in VECTORS[f"{broker}_{release}"]}

    def differences(self, wanted, records):
        """Sentences about the samples that ended otherwise than with Celery. Where Celery stores nothing, or dies,
        anything but success is right."""
        out = []
        for name, outcome in wanted.items():
            got = records.get(name)
            state = got["status"] if got else "no result"
            expected = outcome.split(" ", 1)[0]
            if expected == "SUCCESS":
                right = state == "SUCCESS" and (name == "retries 2" or json.dumps(got["result"]) == outcome[8:])
            elif expected in ("FAILURE", "REVOKED"):
                right = state == expected
            else:
                right = state != "SUCCESS"
            if not right:
                out.append(f"{name}: {got} instead of {outcome}")
        return out

    def test_30_fifty_megabytes(self):
        sent = self.send("bench.add", "x" * 50_000_000, "y")
        self.assertIsInstance(self.failure(sent, 60), ValueError)  # it was read and run: text cannot be added
        self.until_settled(self.cpp, 60)
        self.assert_good_job_runs()

    def assert_good_job_runs(self):
        self.carillon.assert_runs()
        self.assertEqual(self.get(self.send("bench.add", 20, 3)), 23)
        self.carillon.assert_runs()


class HostileOverRabbitmq(Outcomes, Rabbitmq, unittest.TestCase):

    def test_30_hand_made_messages(self):
        connection = amqp.Connection(f"127.0.0.1:{self.broker.port}", "guest", "guest")
        connection.connect()
        self.addCleanup(connection.close)
        channel = connection.channel()
        answers = channel.queue_declare("", exclusive=True).queue
        heard = {}

        def hear(message):
            content = json.loads(message.body)
            heard[content["task_id"]] = content
        channel.basic_consume(answers, no_ack=True, callback=hear)
        self.assert_good_job_runs()  # and the queue is there
        samples, wanted = samples_of_amqp(answers), self.seen("amqp")
        self.assertEqual(set(samples), set(wanted))
        for sample in samples.values():
            properties = {name: value for name, value in sample.properties.items() if value is not None}
            channel.basic_publish(amqp.Message(sample.body, application_headers=sample.headers, **properties),
                                  routing_key=self.cpp)
        self.until_settled(self.cpp)
        self.assert_good_job_runs()
        expected = {one.id for name, one in samples.items() if wanted[name].split(" ")[0] in ("SUCCESS", "FAILURE")}
        deadline = time.monotonic() + 5
        while self.drained(connection) and not expected <= set(heard) and time.monotonic() < deadline:
            pass  # what is still missing then is told below
        records = {name: heard.get(one.id) for name, one in samples.items()}
        self.assertEqual(self.differences(wanted, records), [])

    @staticmethod
    def drained(connection):
        """Takes what has come."""
        try:
            while True:
                connection.drain_events(timeout=0.2)
        except (TimeoutError, OSError):
            return True


class HostileOverRedis(Outcomes, Redis, unittest.TestCase):

    def test_30_hand_made_elements(self):
        self.assert_good_job_runs()
        samples, wanted = samples_of_redis(self.cpp), self.seen("redis")
        self.assertEqual(set(samples), set(wanted))
        for _, where, text in samples.values():
            self.broker.command("LPUSH", where, text)
        self.until_settled(self.cpp)
        for number in (3, 9):
            self.until_settled(f"{self.cpp}\x06\x16{number}")
        self.assert_good_job_runs()
        records = {name: self.record(one.id) for name, (one, _, _) in samples.items()}
        self.assertEqual(self.differences(wanted, records), [])

    def test_30_bodies_of_every_kind(self):
        samples, wanted = samples_of_amqp(""), self.seen("amqp")
        wanted.update({"no reply_to": "SUCCESS 5", "empty reply_to": "SUCCESS 5"})  # results need no reply here
        for sample in samples.values():
            of_body = {name: sample.properties[name] or GONE for name in ("content_type", "content_encoding")}
            self.broker.command("LPUSH", self.cpp, element(sample, self.cpp, **of_body))
        self.until_settled(self.cpp)
        self.assert_good_job_runs()
        records = {name: self.record(one.id) for name, one in samples.items()}
        self.assertEqual(self.differences(wanted, records), [])

    def test_30_random_octets_and_broken_base64(self):
        for text in (b"\x00\xff\xfe", b"", b"[]", b"null", b'"text"', b"[" * 5000, b'{"properties": []}',
                     element(Sample(), self.cpp, body="this is not base64!").encode(),
                     element(Sample(), self.cpp, body=7).encode()):
            self.broker.command("LPUSH", self.cpp, text)
        self.until_settled(self.cpp)
        self.assert_good_job_runs()


if __name__ == "__main__":
    unittest.main()
