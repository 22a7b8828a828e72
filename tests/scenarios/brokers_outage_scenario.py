"""Brokers that are away, refuse, are full, cut or still, under the real program: it says so, waits and comes back;
what was accepted runs; `call` fails with a clear reason within its deadline."""

import json
import socket
import time
import unittest

from beats import BeatProcess, lines
from broker_case import BROKERS, BrokerCase
from carillon_process import CarillonProcess, wait_until

DEADLINE = 3  # seconds that `call` waits for a broker
OVERHEAD = 2.5  # of its start and end
SOON = 20
DEAF = 15  # without work, before readiness fails
LEAVING = 4  # seconds; a beat needs less than one, and a send is waited for for ten
SENT = "a schedule has enqueued its job"
GIVEN_UP = ("the job of a schedule was given up: the queue did not take it before the beat had to stop; the next beat "
            "enqueues it")
TOO_MUCH = str(10**15)  # bytes of disk that no machine has free


class Outages(BrokerCase):
    """What is the same on both brokers."""

    def node(self, name, url=None):
        """A worker that nobody has waited for."""
        made = CarillonProcess("--bench", "-n", f"{name}@%h", "-c", "2", "--visibility-timeout", "10", command="worker",
                               environment={"CARILLON_BROKER": url or self.broker.url()})
        return self.parts.enter_context(made)

    def send(self, through, seconds=0.0, *options):
        """`call bench.trace`: (id or None, what it says, seconds that it took)."""
        begin = time.monotonic()
        ran = through.run("call", "bench.trace", json.dumps([seconds]), "--bench", "--visibility-timeout", "10",
                          *options, seconds=60)
        took = time.monotonic() - begin
        return (ran.stdout.strip() if ran.returncode == 0 else None), ran.stderr.strip().split("\n")[-1], took

    def accepted(self, through, count, seconds):
        """That many jobs."""
        sent = [self.send(through, seconds)[0] for _ in range(count)]
        self.assertNotIn(None, sent)
        return sent

    def assert_refused(self, through, pattern, deadline=DEADLINE):
        """`call` gives up in time and says why, without any password."""
        job, said, took = self.send(through, 0, "--enqueue-timeout", str(deadline))
        self.assertIsNone(job, "it was accepted")
        self.assertRegex(said, pattern)
        self.assertNotIn("s3cret", said)
        self.assertLess(took, deadline + OVERHEAD, said)

    @staticmethod
    def ended(worker):
        path = worker.data_dir / "bench-trace.log"
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        return {line.split()[3] for line in lines if line.startswith("end ")}

    def until_run(self, worker, jobs, seconds=SOON):
        wait_until(lambda: set(jobs) <= self.ended(worker), seconds,
                   f"{len(set(jobs) - self.ended(worker))} of {len(jobs)} jobs run\n{worker.log_tail(15)}")

    def lines(self, worker, *levels):
        """The log's lines of these levels."""
        read = [json.loads(line) for line in worker.log().splitlines() if line.startswith("{")]
        return [line for line in read if line["level"] in levels]

    def assert_says_once(self, worker, pattern, of="jobs"):
        """One line of trouble is about the connection for jobs, and nothing else is repeated."""
        said = [line for line in self.lines(worker, "warning", "error") if line.get("role", of) == of]
        self.assertEqual(len(said), 1, said)
        self.assertRegex(json.dumps(said[0]), pattern)
        self.assertNotIn("s3cret", worker.log())

    def test_it_is_away_at_start(self):
        other = BROKERS[self.kind][1]()
        self.addCleanup(other.close)
        worker = self.node("early", other.url())
        worker.wait_for_log("worker ready")
        self.assert_refused(worker, rf"{other.port}.*[Cc]onnection refused")
        self.assert_says_once(worker, rf"127\.0\.0\.1:{other.port}.*[Cc]onnection refused")
        other.start()
        self.until_run(worker, self.accepted(worker, 3, 0), 30)
        self.assert_says_once(worker, "refused")

    def test_it_goes_away_in_the_middle(self):
        worker = self.node("middle")
        jobs = self.accepted(worker, 20, 0.3)
        wait_until(lambda: self.ended(worker), SOON, "the first has run")
        self.broker.stop()
        waiting = self.calling(worker, "bench.trace", 0)
        self.broker.start()
        late, said = waiting.communicate(timeout=SOON)
        if waiting.returncode == 0:  # else the broker took longer than the deadline
            jobs.append(late.strip())
        else:
            self.assertRegex(said, str(self.broker.port))
        self.until_run(worker, jobs + self.accepted(worker, 2, 0), 30)

    def test_connections_are_cut_again_and_again(self):
        worker = self.node("cut")
        jobs = []
        for _ in range(3):
            jobs += self.accepted(worker, 4, 0.2)
            self.broker.cut_connections()
        self.until_run(worker, jobs + self.accepted(worker, 2, 0), 30)

    def test_somebody_listens_there_and_never_answers(self):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
            port = mute.getsockname()[1]
            worker = self.node("mute", f"{self.kind}://app:s3cret@127.0.0.1:{port}/")
            worker.wait_for_log("worker ready")
            self.assert_refused(worker, f"{port}.*in time", 6)  # a connection is given up after 5
            wait_until(lambda: self.lines(worker, "warning", "error"), SOON, "the worker says so")
            self.assert_says_once(worker, rf"127\.0\.0\.1:{port}.*in time")
            self.assertEqual(worker.stop(), 0)

    def test_it_stands_still_for_ten_seconds(self):
        worker = self.node("still")
        jobs = self.accepted(worker, 20, 0.3)
        wait_until(lambda: self.ended(worker), SOON, "the first has run")
        self.broker.pause()
        began = time.monotonic()
        try:
            job, said, took = self.send(worker)
            self.assertLess(took, 10 + OVERHEAD, said)  # what is usual
            if job is None:
                self.assertRegex(said, f"{self.broker.port}")
            wait_until(lambda: time.monotonic() - began > 10, 11, "ten seconds")
        finally:
            self.broker.resume()
        self.until_run(worker, jobs + self.accepted(worker, 2, 0), 40)

    def test_readiness_tells_of_one_that_stands_still(self):
        server = self.parts.enter_context(self.process("--bench"))
        worker, beat = self.with_health_ports()
        self.broker.pause()
        try:
            for each in (server, worker, beat):
                said = wait_until(each.unready, DEAF + 10, "/readyz answers 503")
                self.assertIn(str(self.broker.port), json.dumps(said))
                self.assertEqual(each.request("GET", "/healthz")[0], 200)
        finally:
            self.broker.resume()
        for each in (server, worker, beat):
            each.wait_ready(SOON)
        self.assertIsNotNone(self.send(server)[0])

    def leaving_beat(self, *options, away="pause", back="resume"):
        """A beat that was told to stop while the broker was away, and ended well; the broker is back."""
        beat = BeatProcess(*options, environment={"CARILLON_BROKER": self.broker.url()})
        self.parts.enter_context(beat)
        wait_until(lambda: lines(beat, SENT), SOON, f"the first job is sent\n{beat.log_tail()}")
        getattr(self.broker, away)()
        try:
            until = int(time.time()) + 1.7
            wait_until(lambda: time.time() > until, 5, "a moment has come")
            begin = time.monotonic()
            self.assertEqual(beat.stop(), 0, beat.log_tail())
            self.assertLess(time.monotonic() - begin, LEAVING, beat.log_tail())
        finally:
            getattr(self.broker, back)()
        return beat

    def assert_sent_by_the_next(self, beat):
        [given_up] = lines(beat, GIVEN_UP)
        self.assertNotIn(given_up["id"], [line["id"] for line in lines(beat, SENT)])
        beat.start()
        wait_until(lambda: given_up["id"] in [line["id"] for line in lines(beat, SENT)], SOON,
                   f"what was given up is sent\n{beat.log_tail()}")
        self.assertEqual(beat.stop(), 0)

    def assert_refused_until(self, worker, mend, pattern):
        """The login is refused, says the log once, until `mend` was called; then jobs run."""
        wait_until(lambda: self.lines(worker, "error"), SOON, "the worker says so")
        self.assert_refused(worker, pattern)
        self.assert_says_once(worker, pattern)
        mend()
        worker.environment["CARILLON_BROKER"] = self.right_url
        self.until_run(worker, self.accepted(worker, 3, 0), 30)

    def assert_blocked(self, block, unblock, pattern):
        """While senders are blocked, what waits is consumed; afterwards all is well."""
        sender = self.process(command="worker")
        self.parts.callback(sender.close)
        jobs = self.accepted(sender, 20, 0)
        block()
        try:
            worker = self.node("blocked")
            self.assert_refused(worker, pattern)
            self.until_run(worker, jobs, 5)
        finally:
            unblock()
        self.until_run(worker, self.accepted(worker, 3, 0))
        self.assertEqual(worker.stop(), 0)
        return jobs


class Rabbitmq(Outages, unittest.TestCase):
    kind = "amqp"

    def test_the_password_is_refused_until_it_is_mended(self):
        self.broker.control("add_user", "app", "another")
        self.broker.control("set_permissions", "app", ".*", ".*", ".*")
        self.right_url = f"amqp://app:s3cret@127.0.0.1:{self.broker.port}//"
        worker = self.node("password", self.right_url)
        self.assert_refused_until(worker, lambda: self.broker.control("change_password", "app", "s3cret"),
                                  rf"127\.0\.0\.1:{self.broker.port}.*user app")

    def test_a_beat_leaves_at_once_and_the_next_one_sends_what_it_gave_up(self):
        self.assert_sent_by_the_next(self.leaving_beat())

    def test_its_disk_is_full(self):
        limit = "set_disk_free_limit"
        self.assert_blocked(lambda: self.broker.control(limit, TOO_MUCH), lambda: self.broker.control(limit, "1MB"),
                            "blocks.*disk")

    def test_its_memory_is_full(self):
        mark = "set_vm_memory_high_watermark"
        self.assert_blocked(lambda: self.broker.control(mark, "absolute", "1MB"),
                            lambda: self.broker.control(mark, "0.4"), "blocks.*memory")

    def test_a_result_waits_while_senders_are_blocked(self):
        worker = self.worker("-c", "1", "-n", "replies@%h")
        asking = self.calling(worker, "bench.sleep", 4, options=["--wait"])
        wait_until(lambda: "bench.sleep" in worker.run("inspect", "active").stdout, SOON, "the job runs")
        self.broker.control("set_disk_free_limit", TOO_MUCH)
        try:
            wait_until(lambda: not self.held(), SOON, "the job has ended")
        finally:
            self.broker.control("set_disk_free_limit", "1MB")
        told, said = asking.communicate(timeout=SOON)
        self.assertEqual((asking.returncode, told), (0, "4.0\n"), said + worker.log_tail())

    def held(self):
        return self.broker.queues("messages")["celery"]["messages"]

    def test_its_queue_is_deleted_under_the_consumer(self):
        worker = self.node("cancelled")
        self.until_run(worker, self.accepted(worker, 1, 0))
        self.broker.control("delete_queue", "celery")
        worker.wait_for_log("its queue is declared again")
        self.until_run(worker, self.accepted(worker, 3, 0))


class Redis(Outages, unittest.TestCase):
    kind = "redis"

    options = ("--appendonly", "yes", "--appendfsync", "no")  # what it has confirmed outlives it

    def test_the_password_is_refused_until_it_is_mended(self):
        self.right_url = f"redis://app:s3cret@127.0.0.1:{self.broker.port}/0"
        self.broker.command("ACL", "SETUSER", "app", "on", ">another", "~*", "&*", "+@all")
        worker = self.node("password", self.right_url)
        self.assert_refused_until(worker, lambda: self.broker.command("ACL", "SETUSER", "app", ">s3cret"),
                                  rf"127\.0\.0\.1:{self.broker.port}.*user.*app")

    def test_a_beat_leaves_at_once_and_the_next_one_sends_what_it_gave_up(self):
        with BROKERS[self.kind][1]() as store:
            self.assert_sent_by_the_next(self.leaving_beat("--beat-store", store.url(), away="stop", back="start"))

    def test_a_beat_leaves_at_once_though_what_is_served_is_noted_there_too(self):
        beat = self.leaving_beat()
        self.assertIn("the store of what schedules have served does not answer", beat.log())

    def test_a_result_for_a_caller_waits_while_it_is_away(self):
        through = ["--result-backend", "rpc://"]
        worker = self.worker("-c", "1", "-n", "replies@%h", *through)
        asking = self.calling(worker, "bench.trace", 1.5, options=["--wait", *through])
        wait_until(lambda: (worker.data_dir / "bench-trace.log").exists(), SOON, "the job runs")
        self.broker.stop()
        try:
            wait_until(lambda: self.ended(worker), SOON, "the job has ended")
        finally:
            self.broker.start()
        told, said = asking.communicate(timeout=SOON)
        self.assertEqual((asking.returncode, told), (0, "1.5\n"), said + worker.log_tail())
        self.assertEqual(worker.stop(), 0)

    def set(self, name, value):
        self.broker.command("CONFIG", "SET", name, value)

    def test_its_memory_is_full(self):
        self.assert_full(lambda: self.set("maxmemory", "1"), lambda: self.set("maxmemory", "0"), "OOM")

    def test_it_cannot_save(self):
        (self.broker.folder / "dump.rdb").mkdir()

        def fail_to_save():
            self.set("save", "3600 1")
            self.broker.command("BGSAVE")
            wait_until(lambda: self.broker.info("persistence")["rdb_last_bgsave_status"] == "err", SOON, "saving fails")

        self.assert_full(fail_to_save, lambda: self.set("save", ""), "MISCONF")

    def test_it_has_become_a_replica(self):
        self.assert_full(lambda: self.broker.command("REPLICAOF", "127.0.0.1", "1"),
                         lambda: self.broker.command("REPLICAOF", "NO", "ONE"), "READONLY|no master")

    def assert_full(self, block, unblock, pattern):
        """Nothing is taken; what was accepted runs when it is over."""
        worker = self.node("full")
        jobs = self.accepted(worker, 20, 0.2)
        block()
        try:
            self.assert_refused(worker, pattern)
        finally:
            unblock()
        self.until_run(worker, jobs + self.accepted(worker, 3, 0), 30)
        self.assertEqual(worker.stop(), 0)


if __name__ == "__main__":
    unittest.main()
