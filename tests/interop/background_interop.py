"""Scenario 11 the other way round: background consumers of Carillon behind a hand-named channel, jobs from Python and
from Carillon. Channels' own workers handle some jobs twice when several read one channel; Carillon's do not."""

import time

from interop_case import InteropCase, event
from peers import CarillonSite

JOBS, WORKERS = 300, 2


class BackgroundCase(InteropCase):
    with_daphne = False

    def worker(self):
        """A worker process with two threads at the channel `jobs`."""
        options = ["--channels", "jobs", "-c", "2", "--channel-layer", self.layer_url()]
        return self.for_test(CarillonSite(*options, command="worker", beside=self.carillon))

    def wait_for_workers(self, results, count):
        """Sends jobs until so many processes have answered one; the ids are below zero."""
        seen, number = set(), 0
        while len(seen) < count:
            number -= 1
            self.peer.send("jobs", event("job.run", id=number))
            got = results.get()
            self.assertEqual(got["by"], "carillon")
            seen.add(got["pid"])
            self.assertGreater(number, -2000, "each worker gets a job")
        return seen

    def ids(self, results, count):
        return sorted(results.get()["id"] for _ in range(count))

    def assert_nothing_more(self, results):
        self.peer.group_send("job_results", event("probe.marker"))
        self.assert_nothing_before(results, event("probe.marker"))


class CoreBackground(BackgroundCase):
    # All jobs are sent before one is awaited.
    python_config = {"capacity": 1000}
    carillon_options = ("--channel-capacity", "1000")

    def test_11_workers_compete_and_every_job_is_handled_once(self):
        results = self.probe(self.carillon, "job_results")
        workers = [self.worker() for _ in range(WORKERS)]
        self.assertEqual(self.wait_for_workers(results, WORKERS), {worker.pid for worker in workers})
        for number in range(JOBS):
            sender = self.peer.send if number % 2 else self.carillon.send
            sender("jobs", event("job.run", id=number))
        self.assertEqual(self.ids(results, JOBS), list(range(JOBS)))
        self.assert_nothing_more(results)

    def test_11_a_group_may_hold_the_channel_of_workers(self):
        results = self.probe(self.carillon, "job_results")
        self.worker()
        self.wait_for_workers(results, 1)
        self.peer.call("group_add", group="workers", channel="jobs")
        for number, send in enumerate((self.peer.group_send, self.carillon.group_send)):
            send("workers", event("job.run", id=number))
            self.assertEqual(results.get()["id"], number)
        self.assert_nothing_more(results)

    def test_11_jobs_that_nobody_reads_wait_for_the_worker(self):
        results = self.probe(self.carillon, "job_results")
        for number in range(10):
            self.peer.send("jobs", event("job.run", id=number))
        self.worker()
        self.assertEqual(self.ids(results, 10), list(range(10)))
        self.assert_nothing_more(results)

    def test_11_messages_that_are_no_jobs_do_not_stop_a_worker(self):
        results = self.probe(self.carillon, "job_results")
        self.worker()
        self.wait_for_workers(results, 1)
        self.redis.command("ZADD", "asgijobs", time.time(), b"twelve bytes\xc1")
        self.peer.send("jobs", event("no.such.type"))
        self.peer.send("jobs", event("job.run", id=1))
        self.assertEqual(results.get()["id"], 1)
        self.assert_nothing_more(results)


class PubsubBackground(BackgroundCase):
    wire = "pubsub"

    def test_11_threads_of_a_process_compete_and_every_job_is_handled_once(self):
        results = self.probe(self.carillon, "job_results")
        self.worker()
        self.until(lambda: self.redis.command("PUBSUB", "NUMSUB", "jobs")[1], "the worker listens")
        for number in range(JOBS):
            sender = self.peer.send if number % 2 else self.carillon.send
            sender("jobs", event("job.run", id=number))
        self.assertEqual(self.ids(results, JOBS), list(range(JOBS)))
        self.assert_nothing_more(results)
