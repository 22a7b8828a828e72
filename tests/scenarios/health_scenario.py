"""The port on which a worker and a beat answer operators: who may have it, what it says, and what it says at the end.
Brokers that are away are the business of the scenarios about brokers."""

import json
import signal
import socket
import unittest

from carillon_process import CarillonProcess, free_port, wait_until


class HealthPort(unittest.TestCase):

    def assert_error(self, process, method, path, status, code):
        answered, headers, body = process.request(method, path)
        self.assertEqual((answered, json.loads(body)["error"]["code"]), (status, code))
        return headers

    def test_a_worker_answers_as_serve_does_whatever_host_is_named(self):
        with CarillonProcess("--bench", command="worker", health=True) as worker:
            self.assertIn(f'"health":"http://127.0.0.1:{worker.port}/"', worker.log())
            for host in ("10.1.2.3:9100", "worker.jobs.svc.cluster.local"):
                self.assertEqual(worker.request("GET", "/readyz", headers={"Host": host})[0], 200)
            status, _, body = worker.request("HEAD", "/healthz")
            self.assertEqual((status, body), (200, b""))
            self.assert_error(worker, "GET", "/", 404, "not_found")
            headers = self.assert_error(worker, "POST", "/readyz", 405, "method_not_allowed")
            self.assertEqual(headers["Allow"], "GET, HEAD")
            self.assertEqual(worker.stop(), 0)

    def test_a_worker_that_stops_is_alive_and_not_ready_until_its_jobs_have_ended(self):
        with CarillonProcess("--bench", "--shutdown-grace", "3", command="worker", health=True) as worker:
            worker.run("call", "bench.sleep", "[60]", "--bench")
            wait_until(lambda: b"\ncarillon_jobs_started_total 1" in worker.request("GET", "/metrics")[2], 20,
                       "the job runs")
            worker.child.send_signal(signal.SIGTERM)
            said = wait_until(worker.unready, 20, "/readyz answers 503")
            self.assertEqual({name for name, check in said["checks"].items() if not check["ok"]}, {"process"})
            self.assertEqual(worker.request("GET", "/healthz")[0], 200)
            self.assertEqual(worker.child.wait(timeout=40), 0)
            with self.assertRaises(ConnectionRefusedError):
                worker.request("GET", "/healthz")

    def test_of_two_processes_with_one_port_the_second_ends_at_once_and_says_why(self):
        with CarillonProcess("--bench", command="beat", health=True) as beat:
            status, said = beat.get_json("/readyz")
            self.assertEqual((status, set(said["checks"])), (200, {"broker", "beat"}))
            for command in ("worker", "beat"):
                ran = beat.run(command, "--health-bind", f"127.0.0.1:{beat.port}")
                self.assertEqual(ran.returncode, 1)
                self.assertRegex(ran.stderr, rf"127\.0\.0\.1:{beat.port}: .*in use.*choose .* with --health-bind")
            self.assertEqual(beat.stop(), 0)

    def test_a_beat_inside_is_one_of_the_checks(self):
        with CarillonProcess("--bench", "--beat") as server:
            self.assertIn("beat", server.get_json("/readyz")[1]["checks"])
        with CarillonProcess("--bench", "-B", command="worker", health=True) as worker:
            self.assertIn("beat", worker.get_json("/readyz")[1]["checks"])

    def test_a_unix_socket_will_do_and_its_file_goes_with_the_process(self):
        worker = CarillonProcess("--bench", command="worker")
        path = worker.folder / "health.sock"
        worker.environment["CARILLON_HEALTH_BIND"] = f"unix:{path}"
        with worker:
            worker.wait_for_log("worker ready")
            self.assertIn(f'"health":"unix:{path}"', worker.log())
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(20)
                probe.connect(str(path))
                probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertTrue(probe.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n"))
            self.assertEqual(worker.stop(), 0)
            self.assertFalse(path.exists())

    def test_settings_that_cannot_be_are_told(self):
        nobody = CarillonProcess(command="worker")
        self.addCleanup(nobody.close)
        ran = nobody.run("worker", "--health-bind", "9100")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("--health-bind: '9100' is not an address; write HOST:PORT", ran.stderr)
        ran = nobody.run("serve", "--health-bind", f"127.0.0.1:{free_port()}")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("serve answers /healthz, /readyz and /metrics where --bind says", ran.stderr)
        bind = ["--bind", f"127.0.0.1:{free_port()}", "--health-bind"]
        self.assertRegex(nobody.run("check", *bind, f"127.0.0.1:{free_port()}").stdout, "(?m)^  ok    health port")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ran = nobody.run("check", *bind, f"127.0.0.1:{taken.getsockname()[1]}")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stdout, "(?m)^  WRONG health port.*in use.*--health-bind")


if __name__ == "__main__":
    unittest.main()
