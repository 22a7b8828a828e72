"""Full queues for bench/jobs.py: no-op jobs with marks between, over RabbitMQ, over Redis and in the embedded queue.

A mark is a job whose result the measurement waits for: it says when the jobs before it have been done.
"""

import base64
import contextlib
import json
import pathlib
import socket
import sqlite3
import sys
import tempfile
import uuid

import amqp
import celery

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/scenarios"))

from carillon_process import CarillonProcess, wait_until
from rabbitmq_process import RabbitmqProcess
from redis_process import RedisProcess

MARK_SECONDS = 300
QUEUE = "celery"
LPUSH_AT_ONCE = 500


class Messages:
    """Celery's own messages, as `delay()` makes them, with new ids."""

    def __init__(self, keep_results):
        self.factory = celery.Celery(set_as_current=False).amqp
        self.noop = self.template("bench.noop", [], not keep_results)
        self.mark = self.template("bench.add", [1, 2], False)

    def template(self, task, arguments, ignored):
        made = self.factory.as_task_v2("the id", task, args=arguments, kwargs={}, ignore_result=ignored)
        return made.headers, json.dumps(made.body)

    def stream(self, count, marks):
        """(headers, body, is a mark) `count` times; the numbers in `marks` are marks."""
        for number in range(count):
            is_mark = number in marks
            headers, body = self.mark if is_mark else self.noop
            identity = str(uuid.uuid4())
            yield {**headers, "id": identity, "root_id": identity}, body, is_mark


class RabbitmqStore:
    """A RabbitMQ of its own. Use it in a `with` statement."""

    name = "RabbitMQ"

    def __init__(self):
        self.server = RabbitmqProcess()
        self.parts = contextlib.ExitStack()

    def __enter__(self):
        self.server.start()
        self.parts.callback(self.server.close)
        # a server that lets a publisher wait is no broken connection
        self.connection = amqp.Connection(f"127.0.0.1:{self.server.port}",
                                          socket_settings={socket.TCP_USER_TIMEOUT: MARK_SECONDS * 1000})
        self.connection.connect()
        self.parts.callback(self.leave)
        self.channel = self.connection.channel()
        for name in ("bench.marks", "bench.replies"):
            self.channel.queue_declare(name, auto_delete=False)
        self.heard = 0
        self.channel.basic_consume("bench.marks", no_ack=True, callback=self.hear)
        return self

    def __exit__(self, *_):
        self.parts.close()

    def leave(self):
        with contextlib.suppress(OSError):  # what was wrong before is told already
            self.connection.close()

    def hear(self, _):
        self.heard += 1

    def urls(self):
        return self.server.url(), "rpc://"

    def fill(self, count, marks, keep_results):
        self.channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        self.channel.queue_purge("bench.replies")
        self.heard = 0
        for headers, body, is_mark in Messages(keep_results).stream(count, marks):
            message = amqp.basic_message.Message(
                body, content_type="application/json", content_encoding="utf-8", application_headers=headers,
                delivery_mode=2, priority=0, correlation_id=headers["id"],
                reply_to="bench.marks" if is_mark else "bench.replies")
            self.channel.basic_publish(message, exchange="", routing_key=QUEUE)
        wait_until(lambda: self.depth() == count, MARK_SECONDS, "the queue is full")

    def wait_for_mark(self, number):
        while self.heard <= number:
            self.connection.drain_events(timeout=MARK_SECONDS)

    def depth(self):
        """Messages in the queue, once no worker is there."""
        return self.channel.queue_declare(QUEUE, passive=True).message_count

    def results(self):
        return self.channel.queue_declare("bench.replies", passive=True).message_count


class RedisStore:
    """A Redis of its own. Use it in a `with` statement."""

    name = "Redis"

    def __init__(self):
        self.server = RedisProcess()
        self.ears = None

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        if self.ears:
            self.ears.close()
        self.server.close()

    def urls(self):
        return self.server.url(), self.server.url()

    def fill(self, count, marks, keep_results):
        self.server.command("FLUSHALL")
        if self.ears:
            self.ears.close()
        self.ears = self.server.connect(MARK_SECONDS)
        self.heard = 0
        elements = []
        with self.server.connect(MARK_SECONDS) as connection:
            for headers, body, is_mark in Messages(keep_results).stream(count, marks):
                if is_mark:
                    self.ears.command("SUBSCRIBE", "celery-task-meta-" + headers["id"])
                elements.append(self.envelope(headers, body))
                if len(elements) == LPUSH_AT_ONCE:
                    connection.command("LPUSH", QUEUE, *elements)
                    elements.clear()
            if elements:
                connection.command("LPUSH", QUEUE, *elements)

    @staticmethod
    def envelope(headers, body):
        properties = {"correlation_id": headers["id"], "reply_to": "", "delivery_mode": 2,
                      "delivery_info": {"exchange": "", "routing_key": QUEUE}, "priority": 0,
                      "body_encoding": "base64", "delivery_tag": str(uuid.uuid4())}
        return json.dumps({"body": base64.b64encode(body.encode()).decode(), "content-encoding": "utf-8",
                           "content-type": "application/json", "headers": headers, "properties": properties})

    def wait_for_mark(self, number):
        while self.heard <= number:
            kind, _, told = self.ears.read()
            self.heard += kind == b"message" and json.loads(told)["status"] == "SUCCESS"

    def depth(self):
        return self.server.command("LLEN", QUEUE) + self.server.command("HLEN", "unacked")

    def results(self):
        return self.server.command("DBSIZE")


class EmbeddedStore:
    """A data folder for each filling. Use it in a `with` statement."""

    name = "embedded"

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="carillon-bench-")
        self.process = None
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def urls(self):
        return "embedded:", "embedded:"

    def beside(self):
        """The process whose data folder a worker is to use."""
        return self.process

    def fill(self, count, marks, keep_results):
        del keep_results  # the embedded queue keeps them in the row of the job, which is written anyway
        if self.process:
            self.process.close()
        self.process = CarillonProcess(command="worker")
        done = self.process.run("call", "bench.noop", "--bench")
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        with self.database() as open_file:
            self.copy_first(open_file, count)
            self.seqs = [seq for seq, in open_file.execute("SELECT seq FROM jobs ORDER BY seq")]
        self.marks = sorted(marks)

    @contextlib.contextmanager
    def database(self):
        with contextlib.closing(sqlite3.connect(self.process.data_dir / "queue.db", timeout=30)) as opened:
            yield opened
            opened.commit()

    @staticmethod
    def copy_first(opened, count):
        """Makes `count` jobs of the first one, each with its own id."""
        for table in ("jobs", "messages"):
            described = opened.execute(f"PRAGMA table_info({table})").fetchall()
            columns = [column[1] for column in described if column[1] != "seq"]
            first = opened.execute(f"SELECT {', '.join(columns)}, seq FROM {table}").fetchone()
            old = opened.execute("SELECT id FROM jobs ORDER BY seq LIMIT 1").fetchall()[0][0]
            rows = ((first[-1] + number, *(field.replace(old, f"{old[:-8]}{number:08x}")
                                           if isinstance(field, str) else field for field in first[:-1]))
                    for number in range(1, count))
            opened.executemany(f"INSERT INTO {table} (seq, {', '.join(columns)}) "
                               f"VALUES (?{', ?' * len(columns)})", rows)

    def wait_for_mark(self, number):
        with self.database() as opened:
            ended = "SELECT state >= 4 FROM jobs WHERE seq = ?"
            seq = self.seqs[self.marks[number]]
            wait_until(lambda: opened.execute(ended, [seq]).fetchall()[0][0], MARK_SECONDS, "the mark has ended")

    def depth(self):
        with self.database() as opened:
            left = opened.execute("SELECT count(*) FROM jobs WHERE state < 4").fetchall()[0][0]
        return left

    def seconds(self):
        """From the first claim to the last end, as the rows say."""
        with self.database() as opened:
            return opened.execute("SELECT (max(finished) - min(started)) / 1e6 FROM jobs").fetchall()[0][0]

    def results(self):
        return 0
