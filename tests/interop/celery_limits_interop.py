"""What several workers share by agreement: prefixes of names in Redis, and concurrency limits. The number of a test is
that of its scenario."""

import time
import unittest

from celery_case import SOON, Rabbitmq, Redis


class KeyPrefix(Redis, unittest.TestCase):
    """37: the same prefix on both sides."""

    key_prefix = "site_"

    def assert_all_prefixed(self):
        names = [name.decode() if isinstance(name, bytes) else name for name in self.broker.command("KEYS", "*")]
        self.assertTrue(names)
        self.assertEqual([name for name in names if not name.startswith(self.key_prefix)], [])

    def test_37_calls_both_ways(self):
        self.assertEqual(self.call_result("proj.tasks.add", 2, 3), 5)
        sent = self.send("bench.add", 2, 3)
        self.assertEqual(self.get(sent), 5)
        self.assert_all_prefixed()
        self.until_settled(self.cpp)

    def test_37_a_later_job_and_a_limited_one(self):
        later = self.send("bench.add", 2, 3, countdown=1)
        limited = self.send("bench.add", 1, 1, headers={"carillon_concurrency_key": "k", "carillon_concurrency_max": 1})
        self.assertEqual(self.get(limited), 2)
        self.assertEqual(self.get(later), 5)
        self.assert_all_prefixed()

    def test_37_inspect_sees_both_workers(self):
        seen = self.app.control.inspect(timeout=2, limit=2).ping()
        self.assertEqual(set(seen), {self.python.node, self.carillon.node})
        for question in ("active", "registered", "stats", "active_queues"):
            answer = getattr(self.app.control.inspect(timeout=2, limit=1, destination=[self.carillon.node]), question)()
            self.assertIn(self.carillon.node, answer)
        self.assert_all_prefixed()


class Limits:
    """Two workers of Carillon, and jobs of a Python sender that may not run together."""

    with_python = with_carillon = False

    def run_limited(self, seconds, count, *options, **settings):
        """How long `count` jobs of `seconds` take on two workers, four threads each."""
        queue = self.queue()
        workers = [self.carillon_worker(queue, threads=4, options=options) for _ in range(2)]
        for worker in workers:
            inspect = self.app.control.inspect(timeout=1, limit=1, destination=[worker.node])
            self.until(inspect.ping, "it answers")
        begin = time.monotonic()
        sent = [self.send("bench.sleep", seconds, queue=queue, **settings) for _ in range(count)]
        for one in sent:
            self.get(one, seconds=SOON + seconds * count)
        self.until_settled(queue)
        return time.monotonic() - begin

    def one_at_a_time(self):
        return {"carillon_concurrency_key": self.queue(), "carillon_concurrency_max": 1}

    def test_jobs_with_one_key_run_one_after_the_other(self):
        took = self.run_limited(0.2, 10, headers=self.one_at_a_time())
        self.assertGreaterEqual(took, self.least(10 * 0.2))

    def test_jobs_of_a_queue_run_two_at_a_time(self):
        queue = self.queue()
        took = self.run_limited(0.2, 20, "--queue-limits", f"{queue}=2")
        self.assertGreaterEqual(took, self.least(20 * 0.2 / 2))


class LimitsOverRedis(Limits, Redis, unittest.TestCase):
    """Over both workers."""

    def least(self, seconds):
        return seconds

    def test_the_place_of_a_worker_that_was_killed_is_free_after_its_lease(self):
        queue, headers = self.queue(), self.one_at_a_time()
        place = f"carillon:places:key:{queue}"
        killed = self.carillon_worker(queue)
        running = self.send("bench.sleep", 3, queue=queue, headers=headers)
        self.until(lambda: self.broker.command("ZCARD", place) == 1, "the place is taken")
        killed.child.kill()
        self.carillon_worker(queue)
        waiting = self.send("bench.add", 2, 3, queue=queue, headers=headers)
        begin = time.monotonic()
        self.assertEqual(self.get(waiting, seconds=SOON + self.lease_seconds), 5)
        self.assertGreater(time.monotonic() - begin, 5)
        self.assertEqual(self.get(running, seconds=SOON + self.lease_seconds), 3)
        self.until(lambda: self.broker.command("EXISTS", place) == 0, "nobody has it")
        self.until_settled(queue)


class LimitsOverRabbitmq(Limits, Rabbitmq, unittest.TestCase):
    """Each worker by itself."""

    def least(self, seconds):
        return seconds / 2


if __name__ == "__main__":
    unittest.main()
