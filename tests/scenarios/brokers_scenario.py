"""RabbitMQ and Redis as the broker of the real program: commands, workers that die, remote control, readiness."""

import json
import os
import re
import subprocess
import unittest

from broker_case import JOB_SECONDS, BrokerCase
from carillon_process import ROOT, free_port, wait_until

CELERY = "/usr/bin/celery"
DEAF_SECONDS = 15  # what /readyz gives a broker that is away


class Commands(BrokerCase):
    """The cases; a subclass says on which broker."""

    def celery(self, *words):
        """Celery's own tool on the same broker: (exit code, output)."""
        ran = subprocess.run(["/usr/bin/python3", CELERY, "-b", self.broker.url(), *words], cwd=self.broker.folder,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    def test_call_waits_for_the_result_of_a_worker_process(self):
        worker = self.worker("-c", "2", "-n", "plain@%h")
        self.assertEqual(self.call(worker, "bench.add", 2, 3), 5)
        self.assertIsNone(self.call(worker, "bench.noop"))
        self.assertEqual(self.call(worker, "bench.retry", 2), 3)
        self.assertEqual(self.call(worker, "bench.progress", 3), 3)
        failed = worker.run("call", "bench.fail", '["it broke"]', "--wait", "--bench")
        self.assertEqual((failed.returncode, failed.stdout), (1, ""))
        self.assertIn("it broke", failed.stderr)
        self.assertFalse((worker.data_dir / "queue.db").exists(), "the embedded queue was made")
        self.assertEqual(worker.stop(), 0)

    def test_the_job_of_a_worker_that_was_killed_runs_again(self):
        timeout = ["--visibility-timeout", "10"]
        first = self.worker("-c", "1", "-n", "first@%h", *timeout)
        waiting = self.calling(first, "bench.sleep", 6, options=["--wait", *timeout])
        wait_until(lambda: "bench.sleep" in first.run("inspect", "active").stdout, 20, "the job runs")
        first.kill()
        second = self.worker("-c", "1", "-n", "second@%h", *timeout)
        out, errors = waiting.communicate(timeout=60)
        self.assertEqual((waiting.returncode, float(out or "nan")), (0, 6), errors)
        self.assertEqual(second.stop(), 0)

    def test_inspect_and_celery_see_the_worker(self):
        worker = self.worker("-c", "3", "-n", "seen@%h")
        host = os.uname().nodename
        node = f"seen@{host}"
        ping = worker.run("inspect", "ping")
        self.assertEqual((ping.returncode, ping.stdout), (0, f'{{"name":"{node}","ok":"pong"}}\n'), ping.stderr)
        self.assertIn("bench.add", worker.run("inspect", "registered").stdout)
        stats = json.loads(worker.run("inspect", "stats").stdout)
        self.assertEqual((stats["stats"]["pid"], stats["stats"]["pool"]["max-concurrency"]), (worker.pid, 3))
        self.assertIn('"name":"celery"', worker.run("inspect", "queues").stdout)
        if not os.access(CELERY, os.X_OK):
            self.skipTest(f"{CELERY} is not installed")
        code, said = self.celery("inspect", "ping")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, rf"(?s){re.escape(node)}: OK.*pong")
        code, said = self.celery("control", "pool_grow", "2")
        self.assertEqual(code, 0, said)
        self.assertIn("pool will grow", said)
        stats = json.loads(worker.run("inspect", "stats").stdout)
        self.assertEqual(stats["stats"]["pool"]["max-concurrency"], 5)
        code, said = self.celery("control", "pool_shrink", "4")
        self.assertEqual(code, 0, said)
        self.assertEqual(self.call(worker, "bench.add", 1, 1), 2)
        code, said = self.celery("control", "shutdown")
        self.assertEqual(worker.child.wait(timeout=JOB_SECONDS), 0, said + worker.log_tail())

    def test_a_running_job_is_revoked_from_outside(self):
        worker = self.worker("-c", "1", "-n", "revoked@%h")
        identity = worker.run("call", "bench.sleep", "[60]", "--bench").stdout.strip()
        wait_until(lambda: identity in worker.run("inspect", "active").stdout, 20, "the job runs")
        if not os.access(CELERY, os.X_OK):
            self.skipTest(f"{CELERY} is not installed")
        code, said = self.celery("control", "terminate", "SIGTERM", identity)
        self.assertEqual(code, 0, said)
        wait_until(lambda: identity not in worker.run("inspect", "active").stdout, 10, "the job has ended")
        self.assertEqual(self.call(worker, "bench.add", 1, 2), 3)

    def test_check_tells_of_the_broker_and_hides_its_password(self):
        process = self.process()
        self.parts.callback(process.close)
        bind = ["--bind", f"127.0.0.1:{free_port()}"]
        good = process.run("check", *bind)
        self.assertEqual(good.returncode, 0, good.stdout)
        self.assertRegex(good.stdout, rf"(?m)^  ok    broker {self.kind}://127\.0\.0\.1:{self.broker.port}/")
        self.assertRegex(good.stdout, r"(?m)^  ok    results ")
        away = f"{self.kind}://app:s3cret@127.0.0.1:{free_port()}/"
        bad = process.run("check", "--broker", away, *bind)
        self.assertEqual(bad.returncode, 1, bad.stdout)
        self.assertRegex(bad.stdout, rf"(?m)^  WRONG broker {self.kind}://\S+: .*is it running")
        self.assertNotIn("s3cret", bad.stdout + bad.stderr)

    def test_serve_worker_and_beat_are_unready_when_the_broker_stays_away(self):
        server = self.parts.enter_context(self.process("--bench"))
        self.assertEqual(self.call(server, "bench.add", 20, 22), 42)
        worker, beat = self.with_health_ports()
        self.assert_tells_operators(worker)
        self.assert_counters_are_told_of(server.request("GET", "/metrics")[2].decode())
        self.broker.stop()
        try:
            for each in (server, worker, beat):
                said = wait_until(each.unready, DEAF_SECONDS + 15, "/readyz answers 503")
                self.assertIn(f"127.0.0.1:{self.broker.port}", json.dumps(said))
                self.assertEqual(each.request("GET", "/healthz")[0], 200)
        finally:
            self.broker.start()
        for each in (server, worker, beat):
            each.wait_ready(30)
        self.assertEqual(self.call(server, "bench.add", 1, 1), 2)
        self.assertEqual(server.stop(), 0)

    def assert_tells_operators(self, worker):
        self.assertIn(f'"health":"http://127.0.0.1:{worker.port}/"', worker.log())
        status, said = worker.get_json("/readyz")
        self.assertEqual((status, said["status"], set(said["checks"])),
                         (200, "ready", {"database", "channel_layer", "broker"}))
        exported = worker.request("GET", "/metrics")[2].decode()
        self.assert_counters_are_told_of(exported)
        self.assertRegex(exported, r"(?m)^carillon_jobs_succeeded_total \d")

    def assert_counters_are_told_of(self, exported):
        page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
        mine = {"amqp": "amqp", "redis": "redis_broker"}[self.kind]
        of_brokers = rf"carillon_(?:{mine}|control|job_events)_\w+"
        self.assertEqual(set(re.findall(of_brokers, page)), set(re.findall(rf"(?m)^{of_brokers}", exported)))

    def test_embedded_results_are_refused(self):
        process = self.process()
        self.parts.callback(process.close)
        ran = process.run("check", "--result-backend", "embedded:")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("choose redis://HOST, rpc:// or none:", ran.stderr)


class Rabbitmq(Commands, unittest.TestCase):
    kind = "amqp"

    def test_the_kind_of_queues_is_a_setting(self):
        kinds = {"quorum": (["--queue-type", "quorum"], '{"x-queue-type","quorum"}'),
                 "urgent": (["--queue-max-priority", "9"], '{"x-max-priority",9}')}
        for queue, (options, argument) in kinds.items():
            worker = self.worker("-c", "1", "-Q", queue, "-n", f"{queue}@%h", *options)
            told = worker.run("call", "bench.add", "[2, 3]", "--wait", "--queue", queue, "--bench", *options)
            self.assertEqual((told.returncode, told.stdout.strip()), (0, "5"), told.stderr)
            listed = self.broker.control("list_queues", "--quiet", "--no-table-headers", "name", "arguments")
            self.assertIn(f"{queue}\t[{argument}]", listed)


class Redis(Commands, unittest.TestCase):
    kind = "redis"


if __name__ == "__main__":
    unittest.main()
