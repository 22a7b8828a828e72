"""Schedules between Python's Celery and Carillon, over RabbitMQ and Redis: who sends, who runs, and beats that die."""

import contextlib
import json
import unittest

from kombu import Connection

from beats import TICK, BeatProcess, run_and_kill, write_schedule
from carillon_process import CarillonProcess
from celery_case import CeleryProgram, Rabbitmq, Redis


class PythonBeat(CeleryProgram):
    """`celery beat` with one schedule, every second."""

    def __init__(self, case, folder, task, queue, *arguments):
        schedule = {TICK: {"task": task, "schedule": 1, "args": arguments, "options": {"queue": queue}}}
        super().__init__(case, "beat", "--schedule", str(folder / "celerybeat"), "--pidfile=", "--loglevel", "INFO",
                         INTEROP_CELERY_BEAT=json.dumps(schedule))

    def wait_ready(self):
        return self.wait_for_log("beat: Starting")


class Schedules:
    """What is the same over both brokers."""

    def beat(self, *options, **more):
        """Not started yet."""
        made = BeatProcess(*self.carillon_place(), *options, **more)
        self.addCleanup(made.close)
        return made

    def test_a_python_worker_runs_what_a_beat_of_carillon_sends(self):
        beat = self.beat(task="proj.tasks.total", queue=self.py)
        write_schedule(beat, "proj.tasks.total", self.py, arguments=[[2, 3]])
        beat.start()
        self.python.wait_for_log(f"Task proj.tasks.total[{TICK}@")
        self.until(lambda: "] succeeded in" in self.line_of(f"proj.tasks.total[{TICK}@"), "the job has succeeded")
        self.assertIn("{'numbers': [2, 3], 'total': 5}", self.line_of(f"proj.tasks.total[{TICK}@"))
        self.assertEqual(beat.stop(), 0)

    def line_of(self, text):
        """The last line of the Python worker's log that holds a text."""
        return next((line for line in reversed(self.python.log().splitlines()) if text in line), "")

    def test_carillon_runs_what_celery_beat_sends(self):
        before = self.runs(self.carillon, "bench.add")
        with PythonBeat(self, self.carillon.folder, "bench.add", self.cpp, 2, 3):
            self.until(lambda: self.runs(self.carillon, "bench.add") >= before + 2, "two jobs have run")
        self.until_settled(self.cpp)

    def test_a_worker_of_carillon_sends_and_runs_its_own(self):
        queue = self.queue()
        worker = CarillonProcess("--bench", "-B", "-Q", queue, "-n", "own@%h", *self.carillon_place(),
                                 command="worker")
        self.addCleanup(worker.close)
        write_schedule(worker, "bench.noop", queue)
        worker.start()
        worker.node = self.carillon.node.replace("carillon@", "own@")
        worker.wait_for_log("worker ready")
        self.until(lambda: any(worker.node in one for one in self.app.control.ping(timeout=1)), "the worker answers")
        self.until(lambda: self.runs(worker, "bench.noop") >= 2, "two jobs have run")
        self.assertEqual(worker.stop(), 0)

    def test_two_beats_of_which_one_after_the_other_is_killed_lose_no_moment(self):
        queue, ids = self.queue(), []
        first = self.beat(queue=queue)
        second = self.beat(queue=queue, beside=first) if self.shares_a_folder else self.beat(queue=queue)
        with Connection(self.broker_url) as connection:
            with contextlib.closing(connection.SimpleQueue(queue)) as waiting:
                run_and_kill(self, [first, second], lambda: self.drain(waiting, ids))

    @staticmethod
    def drain(waiting, ids):
        """Takes what is in the queue, and gives the ids of all so far."""
        with contextlib.suppress(waiting.Empty):
            while True:
                message = waiting.get(block=False)
                message.ack()
                ids.append(message.headers["id"])
        return list(ids)


class SchedulesOverRabbitmq(Schedules, Rabbitmq, unittest.TestCase):
    """Beats agree in a file, so on one machine."""

    shares_a_folder = True


class SchedulesOverRedis(Schedules, Redis, unittest.TestCase):
    """Beats agree in Redis: each of these has a folder of its own, as on another machine."""

    shares_a_folder = False

    def test_the_result_is_found_under_the_name_and_the_moment(self):
        beat = self.beat(queue=self.cpp)
        write_schedule(beat, "bench.add", self.cpp, arguments=[2, 3], name="sum")
        beat.start()
        found = self.until(lambda: self.broker.command("KEYS", "celery-task-meta-sum@*"), "a result")
        self.assertEqual(json.loads(self.broker.command("GET", found[0]))["result"], 5)
        self.assertEqual(beat.stop(), 0)
        self.assertTrue(self.broker.command("HEXISTS", "carillon:beat", "sum"))
        self.assertEqual(self.broker.command("HLEN", "carillon:beat-claims"), 0)


if __name__ == "__main__":
    unittest.main()
