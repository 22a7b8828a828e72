"""What the tests with Celery share: brokers, Python's and Carillon's workers, and a Python sender in this process."""

import atexit
import contextlib
import functools
import gc
import json
import pathlib
import socket
import subprocess
import sys
import unittest
import uuid

from carillon_process import CarillonProcess, wait_until
from peers import PythonProcess
from rabbitmq_process import RabbitmqProcess
from redis_process import RedisProcess

SITE = pathlib.Path(__file__).resolve().parent / "celery_site"
sys.path.insert(0, str(SITE))

from proj import make_app

SOON = 10  # seconds that a job may take on a busy machine
FINAL = ("SUCCESS", "FAILURE", "REVOKED")


@functools.cache
def shared_rabbitmq():
    """One node for all tests of a run, since it takes seconds to start; queues have the names of their tests' class."""
    node = RabbitmqProcess()
    atexit.register(node.close)
    return node.start()


class CeleryProgram(PythonProcess):
    """A `celery` command of the project, such as `celery inspect ping`."""

    def __init__(self, case, *words, **environment):
        super().__init__("", "-m", "celery", "--app", "proj", *words,
                         environment={"PYTHONPATH": str(SITE), "PYTHONUNBUFFERED": "1",
                                      "INTEROP_CELERY_BROKER": case.broker_url,
                                      "INTEROP_CELERY_RESULTS": case.results_url,
                                      "INTEROP_CELERY_PREFIX": case.key_prefix, **environment})
        del self.environment["DJANGO_SETTINGS_MODULE"]  # else Celery would set up that site


class PythonWorker(CeleryProgram):
    """`celery worker` on the given queues."""

    def __init__(self, case, name, *queues):
        super().__init__(case, "worker", "--queues", ",".join(queues), "--hostname", f"{name}@%h", "--concurrency", "2",
                         "--task-events", "--loglevel", "INFO")
        self.node = f"{name}@{socket.gethostname()}"

    def wait_ready(self):
        return self.wait_for_log(" ready.")


class CarillonWorker(CarillonProcess):
    """`carillon-showcase worker` with the bench tasks, on the given queues."""

    def __init__(self, case, name, *queues, threads=2, options=()):
        super().__init__("--bench", "-E", "-Q", ",".join(queues), "-c", str(threads), "-n", f"{name}@%h",
                         *case.carillon_place(), *options, command="worker")
        self.node = f"{name}@{socket.gethostname()}"


class CeleryCase:
    """One broker for a class of tests; mixed into unittest.TestCase by Rabbitmq and Redis below."""

    with_python = with_carillon = True  # a worker of each for the whole class
    key_prefix = ""  # of all names in Redis, on both sides

    @classmethod
    def setUpClass(cls):
        cls.running = contextlib.ExitStack()
        cls.addClassCleanup(cls.running.close)
        cls.start_broker()
        cls.py, cls.cpp = f"{cls.__name__}.py", f"{cls.__name__}.cpp"
        cls.app = cls.make_sender()
        cls.running.callback(cls.forget_results)
        cls.python = PythonWorker(cls, "python", cls.py, "celery") if cls.with_python else None
        cls.carillon = CarillonWorker(cls, "carillon", cls.cpp) if cls.with_carillon else None
        for one in filter(None, (cls.python, cls.carillon)):
            cls.running.callback(one.close)
            one.start()
        if cls.python:
            cls.python.wait_ready()

    def setUp(self):
        for one in filter(None, (self.python, self.carillon)):
            one.assert_runs()

    @classmethod
    def make_sender(cls, **settings):
        return make_app(cls.broker_url, cls.results_url, cls.key_prefix, **settings)

    @classmethod
    def forget_results(cls):
        """While the broker is there: results that are deleted tell it so."""
        gc.collect()
        cls.app.close()

    @classmethod
    def carillon_place(cls):
        """The options that lead a command of Carillon to the same broker and results."""
        prefix = ["--broker-key-prefix", cls.key_prefix, "--result-key-prefix", cls.key_prefix]
        return ["--broker", cls.broker_url, "--result-backend", cls.results_url, *(prefix if cls.key_prefix else [])]

    # --- workers for one test ---

    def carillon_worker(self, *queues, name=None, **more):
        worker = CarillonWorker(self, name or f"c{uuid.uuid4().hex[:8]}", *queues, **more)
        self.addCleanup(worker.close)
        return worker.start()

    def python_worker(self, *queues, name=None):
        return self.enterContext(PythonWorker(self, name or f"p{uuid.uuid4().hex[:8]}", *queues))

    def queue(self, tail=""):
        """A queue's name that no other test uses."""
        return f"{type(self).__name__}.{self._testMethodName[:40]}{tail}"

    # --- Python sends ---

    def signature(self, task, *arguments, queue=None, **options):
        """Of a bench task to Carillon's queue, of the project's to Python's, or to the given one."""
        own = self.cpp if task.startswith("bench.") else self.py
        return self.app.signature(task, args=arguments, queue=queue or own, **options)

    def send(self, task, *arguments, queue=None, **options):
        return self.signature(task, *arguments, queue=queue).apply_async(**options)

    def get(self, sent, seconds=SOON):
        return sent.get(timeout=seconds)

    def states(self, sent, seconds=SOON):
        """Every state that the sender hears of, in order, as (state, result); the last is final."""
        heard = []
        sent.get(timeout=seconds, propagate=False,
                 on_message=lambda message: heard.append((message["status"], message["result"])))
        if not heard or heard[-1][0] not in FINAL:
            heard.append((sent.state, sent.result))
        return heard

    def failure(self, sent, seconds=SOON):
        """The exception that a job of its own ended with, whatever became of the jobs before it."""
        sent.get(timeout=seconds, propagate=False)
        self.assertEqual(sent.state, "FAILURE", repr(sent.result))
        return sent.result

    # --- Carillon sends ---

    def call(self, task, *arguments, wait=True, seconds=SOON, options=()):
        """`carillon-showcase call`; the finished process."""
        with CarillonProcess(command="worker") if not self.carillon else contextlib.nullcontext(self.carillon) as at:
            words = ["call", task, json.dumps(arguments), *options, *(["--wait"] if wait else []),
                     *self.carillon_place()]
            try:
                return at.run(*words, seconds=seconds)
            except subprocess.TimeoutExpired as late:
                raise AssertionError(f"{words} has no end after {seconds} s: {late.stdout} {late.stderr}") from None

    def called(self, task, *arguments, options=()):
        """The id of a call that is not waited for."""
        done = self.call(task, *arguments, wait=False, options=options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def call_result(self, task, *arguments, options=()):
        done = self.call(task, *arguments, options=options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return json.loads(done.stdout)

    # --- the broker ---

    def until(self, condition, what, seconds=SOON):
        return wait_until(condition, seconds, what)

    def runs(self, worker, task):
        """How many jobs of a task have ended in this process of the worker, as it says."""
        stats = self.app.control.inspect(destination=[worker.node], timeout=2, limit=1).stats()
        return stats[worker.node]["total"].get(task, 0)

    def until_settled(self, queue, seconds=SOON):
        """Nothing of the queue waits or is held by a worker."""
        self.until(lambda: not self.left(queue), f"{queue} is empty and nothing is held", seconds)


class Rabbitmq(CeleryCase):
    """RabbitMQ, results over rpc."""

    results_url = "rpc://"
    lease_seconds = 0  # RabbitMQ sees at once that a worker is gone
    keeps_messages = True  # through a restart

    @classmethod
    def start_broker(cls):
        cls.broker = shared_rabbitmq()
        cls.broker_url = cls.broker.url()

    def left(self, queue):
        """Messages that wait or are not acknowledged."""
        return self.broker.queues("messages").get(queue, {"messages": 0})["messages"]

    def waiting(self, queue):
        return self.broker.queues("messages_ready").get(queue, {"messages_ready": 0})["messages_ready"]


class Redis(CeleryCase):
    """Redis, results there too."""

    lease_seconds = 15 + 5  # after which other workers of Carillon take a silent one's jobs; and their sweep
    keeps_messages = False

    @classmethod
    def start_broker(cls):
        cls.broker = cls.running.enter_context(RedisProcess())
        cls.broker_url = cls.results_url = cls.broker.url()

    def left(self, queue):
        """Messages that wait, and what anybody holds."""
        return self.waiting(queue) + self.broker.command("HLEN", f"{self.key_prefix}unacked") + self.broker.command(
            "ZCARD", f"{self.key_prefix}unacked_index")

    def waiting(self, queue):
        return self.broker.command("LLEN", self.key_prefix + queue)

    def record(self, identity):
        """The stored result, or None."""
        stored = self.broker.command("GET", f"{self.key_prefix}celery-task-meta-{identity}")
        return json.loads(stored) if stored else None


def both(names, tests):
    """Adds to a module's names: TestsOverRabbitmq, TestsOverRedis."""
    for broker in (Rabbitmq, Redis):
        name = f"{tests.__name__}Over{broker.__name__}"
        names[name] = type(name, (tests, broker, unittest.TestCase), {"__module__": names["__name__"]})
