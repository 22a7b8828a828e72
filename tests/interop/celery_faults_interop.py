"""Workers killed and stopped in a job, connections cut, brokers restarted; Python sends. A test's number is
that of its scenario."""

import signal
import time
import unittest

from celery_case import both

LONG = 4  # seconds of a job that something happens to


class Arrangement:
    """Every test has a queue and workers of its own."""

    with_python = with_carillon = False

    def setUp(self):
        self.app = self.make_sender()  # that of the class may have lost its connections in the test before
        self.addCleanup(self.app.close)

    def until_runs(self, worker, sent):
        """The worker says that it runs the job."""
        def active():
            worker.assert_runs()
            return sent.id in str(self.app.control.inspect(destination=[worker.node], timeout=1, limit=1).active())
        self.until(active, f"{sent.id} runs", 20)

    def assert_new_sender_is_answered(self, queue):
        """The test's own sender may have lost its connections, too."""
        sender = self.make_sender()
        self.addCleanup(sender.close)
        self.assertEqual(self.get(sender.signature("bench.add", args=(2, 3), queue=queue).apply_async()), 5)


class Faults(Arrangement):
    """What is the same over both brokers."""

    def test_24_a_job_of_a_killed_worker_runs_again(self):
        queue = self.queue()
        worker = self.carillon_worker(queue)
        sent = self.send("bench.sleep", LONG, queue=queue)
        self.until_runs(worker, sent)
        worker.kill()
        begin = time.monotonic()
        self.carillon_worker(queue)
        self.get(sent, self.lease_seconds + LONG + 10)
        self.assertLess(time.monotonic() - begin, self.lease_seconds + LONG + 5)
        self.until_settled(queue)

    def test_26_a_worker_that_is_stopped_ends_its_job_and_leaves_the_others(self):
        queue = self.queue()
        worker = self.carillon_worker(queue, threads=1)
        running = self.send("bench.sleep", LONG, queue=queue)
        self.until_runs(worker, running)
        others = [self.send("bench.add", number, 3, queue=queue) for number in range(3)]
        self.assertEqual(worker.stop(LONG + 20), 0)
        running.get(timeout=5)
        self.until(lambda: self.waiting(queue) == len(others), "the others wait")
        self.carillon_worker(queue)
        self.assertEqual([self.get(one) for one in others], [3, 4, 5])
        self.until_settled(queue)

    def until_waits(self, worker, queue, sent):
        """The job is in its queue again: the worker that was told to quit has given it back, not only died."""
        self.assertEqual(worker.child.wait(10), 1)
        self.until(lambda: self.waiting(queue) == 1, f"{sent.id} waits again", 5)

    def test_26_a_worker_that_is_told_to_quit_loses_no_job(self):
        queue = self.queue()
        worker = self.carillon_worker(queue)
        sent = self.send("bench.sleep", LONG, queue=queue)
        self.until_runs(worker, sent)
        begin = time.monotonic()
        worker.quit()
        self.until_waits(worker, queue, sent)
        self.assertLess(time.monotonic() - begin, LONG)
        self.carillon_worker(queue)
        self.get(sent, LONG + 10)
        self.until_settled(queue)

    def test_26_a_second_signal_stops_cold(self):
        queue = self.queue()
        worker = self.carillon_worker(queue, options=["--shutdown-grace", "60"])
        sent = self.send("bench.sleep", 30, queue=queue)
        self.until_runs(worker, sent)
        worker.child.send_signal(signal.SIGTERM)
        worker.wait_for_log("worker stops")
        worker.child.send_signal(signal.SIGTERM)
        self.until_waits(worker, queue, sent)

    def test_27_connections_are_cut_in_a_job(self):
        queue = self.queue()
        worker = self.carillon_worker(queue)
        sent = self.send("bench.sleep", 2, queue=queue)
        self.until_runs(worker, sent)
        self.broker.cut_connections()
        self.until_settled(queue, 30)
        worker.assert_runs()
        self.assert_new_sender_is_answered(queue)

    def test_28_the_broker_is_restarted(self):
        queue = self.queue()
        worker = self.carillon_worker(queue)
        self.assertEqual(self.get(self.send("bench.add", 2, 3, queue=queue)), 5)
        for number in range(50):
            self.send("bench.sleep", 0.02, queue=queue, ignore_result=True)
        self.broker.restart()  # RabbitMQ keeps what waits, this Redis nothing
        self.until_settled(queue, 30)
        worker.assert_runs()
        self.assert_new_sender_is_answered(queue)
        if self.keeps_messages:
            self.assertGreaterEqual(self.runs(worker, "bench.sleep"), 50)


both(globals(), Faults)

if __name__ == "__main__":
    unittest.main()
