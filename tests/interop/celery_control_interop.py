"""Celery's own tools at workers of Carillon: inspect and control, events, mingle; and Carillon's
inspect at Celery's workers. A test's number is that of its scenario."""

import contextlib
import re
import time
import unittest
import uuid

from celery.exceptions import TaskRevokedError

from celery_case import CeleryProgram, both


class Control:
    """What is the same over both brokers."""

    def inspect(self, *nodes, timeout=2):
        return self.app.control.inspect(destination=list(nodes) or [self.carillon.node], timeout=timeout, limit=1)

    def control(self, method, **arguments):
        """The one answer of the Carillon worker."""
        answers = self.app.control.broadcast(method, arguments=arguments, destination=[self.carillon.node], reply=True,
                                             timeout=2, limit=1)
        self.assertEqual([list(answer) for answer in answers], [[self.carillon.node]])
        return answers[0][self.carillon.node]

    def until_active(self, sent):
        self.until(lambda: sent.id in str(self.inspect().active()), f"{sent.id} is active")

    def test_20_celery_inspect_ping_lists_both(self):
        with CeleryProgram(self, "inspect", "ping", "--timeout", "3") as tool:
            self.assertEqual(tool.child.wait(30), 0, tool.log())
            self.assertRegex(tool.log(), re.escape(self.carillon.node) + ": OK")
            self.assertRegex(tool.log(), re.escape(self.python.node) + ": OK")

    def test_20_every_question_has_one_answer(self):
        self.get(self.send("bench.add", 2, 3))
        for name in ("ping", "active", "reserved", "scheduled", "registered", "stats", "active_queues", "revoked",
                     "conf"):
            with self.subTest(name):
                begin = time.monotonic()
                answer = getattr(self.inspect(), name)()
                self.assertIsNotNone(answer, "no answer")
                self.assertLess(time.monotonic() - begin, 1)
                self.assertEqual(list(answer), [self.carillon.node])
        self.assertEqual(self.inspect().ping()[self.carillon.node], {"ok": "pong"})
        self.assertIn("bench.add", self.inspect().registered()[self.carillon.node])
        stats = self.inspect().stats()[self.carillon.node]
        self.assertEqual(stats["pid"], self.carillon.pid)
        self.assertGreaterEqual(stats["total"]["bench.add"], 1)
        self.assertEqual(stats["pool"]["max-concurrency"], 2)
        self.assertEqual([one["name"] for one in self.inspect().active_queues()[self.carillon.node]], [self.cpp])

    def test_20_what_runs_is_shown(self):
        sent = self.send("bench.sleep", 2)
        self.until_active(sent)
        one = next(one for one in self.inspect().active()[self.carillon.node] if one["id"] == sent.id)
        self.assertEqual((one["name"], one["hostname"]), ("bench.sleep", self.carillon.node))
        found = self.inspect().query_task(sent.id)[self.carillon.node]
        self.assertEqual(found[sent.id][0], "active")
        self.get(sent)

    def test_20_a_question_for_another_node_is_not_answered(self):
        self.assertIsNone(self.app.control.inspect(destination=["other@nowhere"], timeout=0.5).ping())

    def test_21_carillon_lists_both(self):
        done = self.carillon.run("inspect", "ping", *self.carillon_place(), seconds=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.carillon.node, done.stdout)
        self.assertIn(self.python.node, done.stdout)

    def test_21_a_job_that_waits_for_its_time_is_revoked(self):
        sent = self.send("bench.add", 2, 3, countdown=3)
        self.until(lambda: sent.id in str(self.inspect().scheduled()), "it is scheduled")
        self.assertIn("ok", self.control("revoke", task_id=sent.id))
        with self.assertRaises(TaskRevokedError):
            self.get(sent)
        self.assertIn(sent.id, self.inspect().revoked()[self.carillon.node])

    def test_21_a_running_job_is_terminated(self):
        sent = self.send("bench.sleep", 30)
        self.until_active(sent)
        self.assertIn("ok", self.control("revoke", task_id=sent.id, terminate=True))
        with self.assertRaises(TaskRevokedError) as caught:
            self.get(sent)
        self.assertIn("terminated", str(caught.exception))
        self.assertEqual(self.get(self.send("bench.add", 2, 3)), 5)

    def test_21_what_is_unknown_is_answered_with_an_error(self):
        self.assertIn("error", self.control("rate_limit", task_name="bench.no_such_task", rate_limit="1/s"))
        self.assertIn("error", self.control("no_such_method"))
        self.assertEqual(self.get(self.send("bench.add", 2, 3)), 5)

    def test_21_a_rate_limit(self):
        self.assertEqual(self.control("rate_limit", task_name="bench.noop", rate_limit="2/s"),
                         {"ok": "new rate limit set successfully"})
        self.assertIn("bench.noop [rate_limit=2/s]", self.inspect().registered()[self.carillon.node])
        begin = time.monotonic()
        limited = [self.send("bench.noop") for _ in range(5)]
        self.assertEqual(self.get(self.send("bench.add", 2, 3)), 5)  # goes past them
        self.assertLess(time.monotonic() - begin, 2)
        for sent in limited:
            self.get(sent)
        self.assertGreater(time.monotonic() - begin, 1.9)
        waits = [self.send("bench.noop") for _ in range(9)]
        self.until(lambda: waits[-1].id in str(self.inspect().reserved()), "they wait in the worker")
        self.assertIn("ok", self.control("rate_limit", task_name="bench.noop", rate_limit="0"))
        # The worker is asked, since a client of Celery may look for each result only once a second.
        self.until(lambda: not self.inspect().reserved()[self.carillon.node], "none waits any longer", 2)
        for sent in waits:
            self.get(sent)

    def test_21_time_limits(self):
        self.assertEqual(self.control("time_limit", task_name="bench.sleep", hard=1.0, soft=None),
                         {"ok": "time limits set successfully"})
        self.assertIn("TimeLimitExceeded", repr(self.failure(self.send("bench.sleep", 30))))
        self.assertIn("ok", self.control("time_limit", task_name="bench.sleep", hard=None, soft=None))
        self.get(self.send("bench.sleep", 1.5))

    def test_21_the_pool_grows_and_shrinks(self):
        self.assertEqual(self.control("pool_grow", n=1), {"ok": "pool will grow"})
        self.until(lambda: self.threads() == 3, "three threads")
        self.assertEqual(self.control("pool_shrink", n=1), {"ok": "pool will shrink"})
        self.until(lambda: self.threads() == 2, "two threads")

    def threads(self):
        return self.inspect().stats()[self.carillon.node]["pool"]["max-concurrency"]

    def test_21_a_queue_is_added_and_taken_away(self):
        queue = self.queue()
        self.assertEqual(self.control("add_consumer", queue=queue), {"ok": f"add consumer {queue}"})
        self.assertEqual(self.get(self.send("bench.add", 2, 3, queue=queue)), 5)
        self.assertEqual(self.control("cancel_consumer", queue=queue), {"ok": f"no longer consuming from {queue}"})
        self.until(lambda: queue not in str(self.inspect().active_queues()), "the queue is not consumed")
        sent = self.send("bench.add", 2, 4, queue=queue)
        self.until(lambda: self.waiting(queue) == 1, "it waits")
        self.assertEqual(self.get(self.send("bench.add", 2, 3)), 5)
        self.carillon_worker(queue)
        self.assertEqual(self.get(sent), 6)

    def test_21_shutdown(self):
        worker = self.carillon_worker(self.queue())
        worker.wait_for_log("worker ready")
        self.until(lambda: self.inspect(worker.node, timeout=1).ping(), "it answers")
        self.app.control.broadcast("shutdown", destination=[worker.node])
        self.assertEqual(worker.child.wait(20), 0)

    def test_22_celery_events_dump_shows_both(self):
        with CeleryProgram(self, "events", "--dump") as dump:
            self.until(lambda: dump.assert_runs() or "heartbeat" in dump.log(), "the first heartbeat")
            sent = [self.send("bench.add", 2, 3), self.send("proj.tasks.add", 2, 3), self.send("bench.fail", "boom")]
            for one in sent:
                one.get(timeout=15, propagate=False)
            for one, end in zip(sent, ("succeeded", "succeeded", "failed")):
                dump.wait_for_log(f"task {end}", 10)
                for what in ("received", "started", end):
                    self.until(lambda w=what, i=one.id: self.event_lines(dump.log(), w, i), f"{what} {one.id}", 5)
            for node in (self.carillon.node, self.python.node):
                self.until(lambda n=node: re.search(re.escape(n) + r".*heartbeat", dump.log()), f"heartbeat of {node}")
            with contextlib.closing(self.carillon_worker(self.queue())) as worker:
                self.until(lambda: re.search(re.escape(worker.node) + r".*started", dump.log()), "it is online")
                worker.stop()
                self.until(lambda: re.search(re.escape(worker.node) + r".*shutdown", dump.log()), "it is offline")

    @staticmethod
    def event_lines(text, what, identity):
        return [line for line in text.splitlines() if what in line and identity in line]

    def test_23_a_python_worker_that_starts_beside_carillon_learns_what_was_revoked(self):
        revoked = str(uuid.uuid4())
        self.control("revoke", task_id=revoked)
        worker = self.python_worker(self.queue())
        self.assertNotRegex(worker.log(), r"\bERROR\b|Traceback|CRITICAL")
        self.assertIn("sync complete", worker.log())
        self.assertIn(revoked, self.inspect(worker.node).revoked()[worker.node])


both(globals(), Control)

if __name__ == "__main__":
    unittest.main()
