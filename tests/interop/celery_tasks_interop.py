"""Jobs between Python's Celery and Carillon, both ways, over RabbitMQ and Redis. A test's number is that of its
scenario."""

import time
import unittest
import uuid

from celery import chain, chord
from celery.exceptions import TaskRevokedError

from celery_case import Rabbitmq, Redis, both


class Jobs:
    """What is the same over both brokers."""

    def test_01_carillon_sends_and_a_python_worker_answers(self):
        self.assertEqual(self.call_result("proj.tasks.add", 2, 3), 5)
        sent = self.call("proj.tasks.echo", "déjà vu", wait=False)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        self.python.wait_for_log(f"Task proj.tasks.echo[{sent.stdout.strip()}] succeeded")

    def test_02_python_sends_and_carillon_answers(self):
        sent = self.send("bench.add", 2, 3)
        self.assertEqual(self.get(sent), 5)
        self.until_settled(self.cpp)

    def test_02_many_jobs_are_each_answered(self):
        sent = [self.send("bench.add", number, 1000) for number in range(200)]
        self.assertEqual([self.get(one) for one in sent], [number + 1000 for number in range(200)])
        self.until_settled(self.cpp)

    def test_04_a_failure_in_carillon_is_an_exception_in_python(self):
        sent = self.send("bench.fail", "boom, naïve")
        error = self.failure(sent)
        self.assertIn("boom, naïve", str(error))
        self.assertTrue(sent.traceback is None or isinstance(sent.traceback, str))

    def test_05_a_failure_in_python_is_an_error_in_carillon(self):
        done = self.call("proj.tasks.fail", "boom")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ValueError", done.stderr)
        self.assertIn("boom", done.stderr)

    def test_06_a_countdown_is_kept(self):
        begin = time.monotonic()
        sent = self.send("bench.add", 2, 3, countdown=2)
        listed = self.app.control.inspect(timeout=0.5, destination=[self.carillon.node]).scheduled()
        self.assertEqual(self.get(sent), 5)
        self.assertGreaterEqual(time.monotonic() - begin, 2.0)
        self.assertLess(time.monotonic() - begin, 3.5)
        self.assertIn(sent.id, str(listed))

    def test_08_a_job_of_carillon_that_asks_for_another_run(self):
        states = self.states(self.send("bench.retry", 1))
        self.assertEqual(states[-1][0], "SUCCESS", states)
        self.assertIn("RETRY", [state for state, _ in states])
        self.until_settled(self.cpp)

    def test_08_a_job_of_python_that_asks_for_another_run(self):
        self.assertEqual(self.call_result("proj.tasks.retry", 1), 1)

    def test_11_a_chain_wholly_in_carillon(self):
        last = chain(self.signature("bench.add", 2, 3), self.signature("bench.add", 10),
                     self.signature("bench.add", 100), app=self.app).apply_async()
        self.assertEqual(self.get(last), 115)

    def test_12_a_chain_that_alternates(self):
        last = chain(self.signature("bench.add", 2, 3), self.signature("proj.tasks.add", 10),
                     self.signature("bench.add", 100), self.signature("proj.tasks.add", 1000),
                     app=self.app).apply_async()
        self.assertEqual(self.get(last), 1115)

    def test_12_a_chain_that_begins_with_python(self):
        last = chain(self.signature("proj.tasks.add", 2, 3), self.signature("bench.add", 10),
                     self.signature("proj.tasks.add", 100), app=self.app).apply_async()
        self.assertEqual(self.get(last), 115)

    def test_13_a_failing_step_fails_what_follows_and_calls_the_errback(self):
        reply_to, caught = self.app.thread_oid, str(uuid.uuid4())
        errback = self.signature("proj.tasks.echo").set(task_id=caught, reply_to=reply_to)
        middle = self.signature("bench.fail", "boom", immutable=True).set(link_error=[errback])
        last = chain(self.signature("bench.add", 2, 3), middle, self.signature("bench.add", 100),
                     app=self.app).apply_async()
        heard = self.app.AsyncResult(caught)
        self.assertIn("boom", str(self.failure(last)))
        self.assertIn("boom", str(self.failure(last.parent)))
        self.assertEqual(self.get(heard), last.parent.id)

    def test_16_a_callback_gets_the_result_unless_it_is_immutable(self):
        for immutable, arguments, expected in ((False, (10,), 15), (True, (1, 2), 3)):
            after = self.signature("proj.tasks.add", *arguments, immutable=immutable)
            after.set(task_id=str(uuid.uuid4()), reply_to=self.app.thread_oid)
            self.assertEqual(self.get(self.send("bench.add", 2, 3, link=after)), 5)
            self.assertEqual(self.get(self.app.AsyncResult(after.id)), expected)

    def test_17_progress_of_carillon_is_seen_in_python(self):
        states = self.states(self.send("bench.progress", 5))
        self.assertEqual(states[-1][0], "SUCCESS", states)
        self.assertIn("PROGRESS", [state for state, _ in states])

    def test_17_progress_of_python_does_not_end_the_wait_in_carillon(self):
        self.assertEqual(self.call_result("proj.tasks.progress", 5), 5)

    def test_19_an_ignored_result_is_not_stored(self):
        ignored = self.send("bench.add", 2, 3, ignore_result=True)
        self.until_settled(self.cpp)
        self.assertEqual(self.get(self.send("bench.add", 1, 1)), 2)
        self.assertEqual(self.app.AsyncResult(ignored.id).state, "PENDING")

    def test_33_a_message_of_protocol_1(self):
        old = self.make_sender(task_protocol=1)
        self.addCleanup(old.close)
        sent = old.signature("bench.add", args=(2, 3), queue=self.cpp).apply_async()
        self.assertEqual(self.get(sent), 5)

    def test_34_a_compressed_message(self):
        self.assertEqual(self.get(self.send("bench.add", 2, 3, compression="zlib")), 5)

    def test_36_a_hard_time_limit(self):
        error = self.failure(self.send("bench.sleep", 10, time_limit=1), seconds=9)
        self.assertEqual(type(error).__name__, "TimeLimitExceeded")
        self.assertEqual(self.get(self.send("bench.add", 2, 3)), 5)

    def test_36_a_soft_time_limit(self):
        error = self.failure(self.send("bench.sleep", 10, soft_time_limit=1), seconds=9)
        self.assertEqual(type(error).__name__, "SoftTimeLimitExceeded")

    def test_38_a_task_that_carillon_does_not_know(self):
        error = self.failure(self.send("bench.no_such_task"))
        self.assertEqual(type(error).__name__, "NotRegistered")
        self.until_settled(self.cpp)


class ExpiryOnRabbitmq(Rabbitmq, unittest.TestCase):
    """RabbitMQ itself drops what has expired, so that nobody hears of it."""

    with_python = with_carillon = False

    def test_07_a_job_that_expired_is_gone_and_does_not_run(self):
        queue = self.queue()
        expired = self.send("bench.add", 2, 3, queue=queue, expires=1)
        self.until(lambda: not self.left(queue), "the broker has dropped it")
        worker = self.carillon_worker(queue)
        self.assertEqual(self.get(self.send("bench.add", 1, 1, queue=queue)), 2)
        self.assertEqual(self.runs(worker, "bench.add"), 1)
        self.assertEqual(expired.state, "PENDING")


class JobsOnRedis(Redis, unittest.TestCase):
    """What only the records in Redis show, and chords, which need them."""

    def until_no_chord_keys(self):
        self.until(lambda: not self.broker.command("KEYS", "celery-taskset-meta-*.[jts]"), "the chord's keys are gone")

    def test_11_the_records_of_a_chain_name_parents_and_children(self):
        last = chain(self.signature("bench.add", 2, 3), self.signature("bench.add", 10),
                     self.signature("bench.add", 100), app=self.app).apply_async()
        self.assertEqual(self.get(last), 115)
        first, middle, third = (self.record(one.id) for one in (last.parent.parent, last.parent, last))
        self.assertEqual((middle["parent_id"], third["parent_id"]), (last.parent.parent.id, last.parent.id))
        self.assertEqual([child[0][0] for child in first["children"]], [last.parent.id])
        self.assertEqual([child[0][0] for child in middle["children"]], [last.id])

    def test_04_the_record_of_a_failure(self):
        sent = self.send("bench.fail", "boom")
        self.failure(sent)
        stored = self.record(sent.id)
        self.assertEqual(stored["status"], "FAILURE")
        self.assertEqual(stored["result"]["exc_message"], ["boom"])
        self.assertTrue(stored["result"]["exc_type"] and stored["result"]["exc_module"])

    def test_07_a_job_that_expired_is_revoked(self):
        queue = self.queue()
        sent = self.send("bench.add", 2, 3, queue=queue, expires=1)
        due = time.monotonic() + 1.2
        self.until(lambda: time.monotonic() > due, "it has expired")
        self.carillon_worker(queue)
        with self.assertRaises(TaskRevokedError) as caught:
            self.get(sent)
        self.assertIn("expired", str(caught.exception))
        self.until_settled(queue)  # else what the worker holds would be there in other tests

    def test_14_a_chord_with_members_in_carillon_and_its_body_in_python(self):
        members = [self.signature("bench.add", 1, 1), self.signature("bench.add", 2, 2)]
        sent = chord(members, app=self.app)(self.signature("proj.tasks.total"))
        self.assertEqual(self.get(sent), {"numbers": [2, 4], "total": 6})
        self.until_no_chord_keys()

    def test_14_a_chord_with_members_in_python_and_its_body_in_carillon(self):
        members = [self.signature("proj.tasks.add", 1, 1), self.signature("proj.tasks.add", 2, 2)]
        sent = chord(members, app=self.app)(self.signature("bench.noop"))
        self.assertIsNone(self.get(sent))
        self.assertEqual(sent.state, "SUCCESS")
        self.until_no_chord_keys()

    def test_14_a_chord_with_a_member_on_either_side(self):
        members = [self.signature("bench.add", 1, 1), self.signature("proj.tasks.add", 2, 2)]
        sent = chord(members, app=self.app)(self.signature("proj.tasks.total"))
        self.assertEqual(self.get(sent), {"numbers": [2, 4], "total": 6})
        self.until_no_chord_keys()

    def test_15_a_chord_with_a_failing_member(self):
        members = [self.signature("bench.add", 1, 1), self.signature("bench.fail", "boom")]
        sent = chord(members, app=self.app)(self.signature("proj.tasks.total"))
        error = self.failure(sent)
        self.assertEqual(type(error).__name__, "ChordError")
        self.assertIn("boom", str(error))

    def test_31_the_smaller_priority_goes_first(self):
        queue = self.queue()
        sent = {priority: self.send("bench.sleep", 0.05, queue=queue, priority=priority) for priority in (9, 6, 3, 0)}
        self.carillon_worker(queue, threads=1)
        for one in sent.values():
            self.get(one)
        self.assertEqual(sorted(sent, key=lambda priority: self.record(sent[priority].id)["date_done"]), [0, 3, 6, 9])
        self.until_settled(queue)

    def test_19_an_ignored_result_has_no_key(self):
        ignored = self.send("bench.add", 2, 3, ignore_result=True)
        self.until_settled(self.cpp)
        self.assertIsNone(self.record(ignored.id))


both(globals(), Jobs)

if __name__ == "__main__":
    unittest.main()
