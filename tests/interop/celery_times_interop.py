"""When jobs run, between Python's Celery and Carillon: delays from the command line, expiry, retries and their pauses,
starts that are told, priorities, fairness, long and many delays. A test's number is that of its scenario."""

import datetime
import json
import time
import unittest
import uuid

from celery.exceptions import TaskRevokedError
from celery.result import ResultSet
from kombu import Queue

from celery_case import FINAL, SOON, Rabbitmq, Redis, both

LATE = 4.0  # seconds that a busy machine may add to a delay
MANY = 20_000
BYTES_MAX = 2048  # that a delayed job may cost the worker
FAR = 300  # seconds; near enough to be held by a worker


class Moments:
    """What is the same over both brokers."""

    def timed(self, *options):
        begin = time.monotonic()
        self.assertEqual(self.call_result("proj.tasks.add", 2, 3, options=options), 5)
        return time.monotonic() - begin

    def test_06_a_countdown_from_carillon_is_kept_by_python(self):
        took = self.timed("--countdown", "2")
        self.assertTrue(2.0 <= took < 2.0 + LATE, took)

    def test_06_an_eta_from_carillon_is_kept_by_python_and_listed_meanwhile(self):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
        identity = self.called("proj.tasks.add", 2, 3, options=["--eta", at.isoformat()])
        scheduled = self.app.control.inspect(timeout=1, destination=[self.python.node], limit=1).scheduled
        listed = self.until(lambda: [one for one in (scheduled() or {}).get(self.python.node, ())
                                     if one["request"]["id"] == identity], "it is scheduled", 3)
        self.assertEqual(datetime.datetime.fromisoformat(listed[0]["eta"]), at)
        self.python.wait_for_log(f"Task proj.tasks.add[{identity}] succeeded")
        late = (datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()
        self.assertTrue(0 <= late < LATE, late)

    def test_06_a_job_of_carillon_goes_to_the_queue_that_is_named(self):
        queue = self.queue()
        identity = self.called("proj.tasks.echo", 7, options=["--queue", queue])
        self.until(lambda: self.waiting(queue) == 1, "it waits there")
        self.python_worker(queue).wait_for_log(f"Task proj.tasks.echo[{identity}] succeeded")

    def test_09_10_a_job_that_always_fails_runs_four_times_at_growing_distances(self):
        heard = []
        sent = self.send("bench.fail", "boom", True)
        sent.get(timeout=12, propagate=False,
                 on_message=lambda message: heard.append((message["status"], time.monotonic())))
        if heard[-1][0] not in FINAL:
            heard.append((sent.state, time.monotonic()))
        self.assertEqual([state for state, _ in heard], ["RETRY", "RETRY", "RETRY", "FAILURE"])
        self.assertEqual((type(sent.result), sent.result.args), (ConnectionError, ("boom",)))
        pauses = [after - before for (_, before), (_, after) in zip(heard, heard[1:])]
        for pause, wanted in zip(pauses, (1, 2, 4)):
            self.assertTrue(wanted - 0.1 <= pause < wanted + LATE, pauses)
        self.until_settled(self.cpp)

    def test_18_the_start_of_a_job_is_told_with_its_worker(self):
        states = dict(self.states(self.send("bench.sleep", 0.3)))
        self.assertEqual(states["STARTED"], {"pid": self.carillon.pid, "hostname": self.carillon.node})


class MomentsOnRabbitmq(Rabbitmq, unittest.TestCase):

    with_python = with_carillon = False

    def test_31_the_larger_priority_goes_first(self):
        queue = self.queue()
        self.app.amqp.queues.add(Queue(queue, queue_arguments={"x-max-priority": 10}))
        sent = {}
        for level in (0, 5, 9) * 2:
            sent[self.send("bench.sleep", 0.05, queue=queue, priority=level).id] = level
        self.until(lambda: self.waiting(queue) == len(sent), "all wait")
        self.carillon_worker(queue, threads=1)
        results = ResultSet([self.app.AsyncResult(identity) for identity in sent])
        self.assertEqual([sent[identity] for identity, _ in results.iter_native(timeout=SOON)], [9, 9, 5, 5, 0, 0])
        self.until_settled(queue)


class MomentsOnRedis(Redis, unittest.TestCase):

    with_carillon = False

    def tearDown(self):
        self.broker.command("FLUSHALL")

    def test_07_an_expiry_from_carillon_is_kept_by_python(self):
        queue = self.queue()
        identity = self.called("proj.tasks.add", 2, 3, options=["--queue", queue, "--expires", "1"])
        due = time.monotonic() + 1.2
        self.until(lambda: time.monotonic() > due, "it has expired")
        self.python_worker(queue)
        with self.assertRaises(TaskRevokedError) as caught:
            self.get(self.app.AsyncResult(identity), 20)
        self.assertIn("expired", str(caught.exception))

    def test_19_an_ignored_result_of_carillon_is_not_stored_by_python(self):
        identity = self.called("proj.tasks.add", 2, 3, options=["--ignore-result", "--queue", self.py])
        self.python.wait_for_log(f"Task proj.tasks.add[{identity}] succeeded")
        self.assertIsNone(self.record(identity))

    def test_29_a_delay_longer_than_the_visibility_timeout_ends_in_one_run(self):
        queue, seconds = self.queue(), ["--visibility-timeout", "10"]
        workers = [self.carillon_worker(queue, options=seconds) for _ in range(2)]
        sent = self.send("bench.add", 2, 3, queue=queue, countdown=22)
        self.until(lambda: not self.waiting(queue), "a worker holds it")
        self.assertEqual(self.get(sent, 30), 5)
        self.until_settled(queue)
        self.assertEqual(sum(self.runs(worker, "bench.add") for worker in workers), 1)

    def test_35_two_queues_are_drained_at_similar_speed(self):
        names, each = [self.queue(".a"), self.queue(".b")], 1000
        for name in names:
            self.fill(name, "bench.sleep", [0.002], each)
        self.carillon_worker(*names)
        left = self.until(lambda: self.half_of(names, each), "half of them are done", 20)
        self.assertLess(abs(left[0] - left[1]), each * 0.3, left)
        for name in names:
            self.until_settled(name, 20)

    def half_of(self, names, each):
        """How many wait in each, as soon as no more than half do."""
        left = [self.waiting(name) for name in names]
        return left if sum(left) <= each * len(names) / 2 else None

    def test_39_many_delayed_jobs_are_cheap_and_delay_no_others(self):
        later, soon = self.queue(".later"), self.queue(".soon")
        worker = self.carillon_worker(later, soon)
        self.assertEqual(self.get(self.send("bench.add", 1, 1, queue=soon)), 2)
        before = worker.memory_bytes()
        self.fill(later, "bench.add", [1, 2], MANY, countdown=FAR)
        delays = []
        while self.waiting(later) or len(delays) < 50:
            begin = time.monotonic()
            self.assertEqual(self.get(self.send("bench.add", 1, 1, queue=soon)), 2)
            delays.append(time.monotonic() - begin)
        each = (worker.memory_bytes() - before) / MANY
        self.until(lambda: self.kept() == MANY, "all are held, by the worker or for it")
        print(f"\n    {MANY} delayed jobs: {each:.0f} bytes each in the worker; {len(delays)} others, the slowest "
              f"{1000 * max(delays):.0f} ms")
        self.assertLess(each, BYTES_MAX)
        self.assertLess(max(delays), 1)
        worker.kill()

    def kept(self):
        return self.broker.command("HLEN", "unacked") + self.broker.command("ZCARD", "carillon:delayed")

    def fill(self, queue, task, arguments, count, **options):
        """So many jobs of one kind: what Celery writes for one of them, each time with an id of its own."""
        first = self.send(task, *arguments, queue=f"{queue}.first", **options)
        element = self.broker.command("RPOP", f"{queue}.first").decode().replace(f"{queue}.first", queue)
        tag = json.loads(element)["properties"]["delivery_tag"]
        for begin in range(0, count, 1000):
            self.broker.command("LPUSH", queue, *(
                element.replace(first.id, str(uuid.uuid4())).replace(tag, str(uuid.uuid4()))
                for _ in range(min(1000, count - begin))))


both(globals(), Moments)

if __name__ == "__main__":
    unittest.main()
