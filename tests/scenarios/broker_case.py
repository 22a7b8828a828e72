"""What the scenarios about brokers share: RabbitMQ or Redis, processes of the program on it, and their jobs."""

import contextlib
import json
import os
import unittest

import rabbitmq_process
import redis_process
from carillon_process import CarillonProcess, wait_until
from rabbitmq_process import RabbitmqProcess
from redis_process import RedisProcess

JOB_SECONDS = 30
BROKERS = {"amqp": (rabbitmq_process.SERVER, RabbitmqProcess), "redis": (redis_process.SERVER, RedisProcess)}


class BrokerCase:
    """One broker for a class of tests; a subclass says which: `kind`, and perhaps `options` of its process."""

    options = ()

    @classmethod
    def setUpClass(cls):
        server, make = BROKERS[cls.kind]
        if not os.access(server, os.X_OK):
            raise unittest.SkipTest(f"{server} is not installed")
        cls.broker = make(*cls.options).start()
        cls.addClassCleanup(cls.broker.close)

    def setUp(self):
        self.parts = contextlib.ExitStack()
        self.addCleanup(self.parts.close)

    def process(self, *options, **more):
        """A process whose commands use this broker too."""
        return CarillonProcess(*options, environment={"CARILLON_BROKER": self.broker.url()}, **more)

    def worker(self, *options, **more):
        started = self.parts.enter_context(self.process("--bench", *options, command="worker", **more))
        started.wait_for_log("worker ready")
        name = options[options.index("-n") + 1].replace("%h", os.uname().nodename)
        wait_until(lambda: f'"{name}"' in started.run("inspect", "ping").stdout, JOB_SECONDS, f"{name} answers")
        return started

    def with_health_ports(self):
        """A worker and a beat that answer operators."""
        return [self.parts.enter_context(self.process("--bench", command=command, health=True))
                for command in ("worker", "beat")]

    def call(self, process, task, *arguments):
        """call --wait: the result."""
        ran = process.run("call", task, json.dumps(list(arguments)), "--wait", "--bench", seconds=JOB_SECONDS)
        self.assertEqual(ran.returncode, 0, f"{ran.stderr}\n{process.log_tail()}")
        return json.loads(ran.stdout)

    def calling(self, process, task, *arguments, options=()):
        """call, without an end of it: the child, which ends with the test."""
        words = "call", task, json.dumps(list(arguments)), "--bench", *options
        return self.parts.enter_context(process.running(*words))
