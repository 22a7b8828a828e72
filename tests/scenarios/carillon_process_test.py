"""carillon_process.py against a small program that behaves, and misbehaves, as the real one may."""

import os
import pathlib
import signal
import tempfile
import unittest

from carillon_process import CarillonProcess, free_port, wait_until

# Answers 503 twice before it is ready, counts its starts in the data folder, and ends on SIGTERM with 0.
PROGRAM = r'''#!/usr/bin/python3
import http.server, pathlib, signal, sys
words = sys.argv[1:]
value = lambda flag: words[words.index(flag) + 1]
data = pathlib.Path(value("--data-dir"))
data.mkdir(exist_ok=True)
if words[0] == "echo":
    print(words[1], sys.stdin.read())
    sys.exit(3)
if "--broken" in words:
    sys.exit("cannot start")
with open(data / "starts", "a") as starts:
    starts.write("x")
signal.signal(signal.SIGTERM, signal.SIG_IGN if "--deaf" in words else lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 2 else 503)
        self.end_headers()
        self.wfile.write(b'{"asked": %d}' % Handler.asked)
print("started", flush=True)
host, port = value("--bind").split(":")
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
'''


class Helper(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="carillon-helper-")
        self.addCleanup(folder.cleanup)
        self.binary = pathlib.Path(folder.name) / "program"
        self.binary.write_text(PROGRAM, encoding="utf-8")
        self.binary.chmod(0o755)

    def process(self, *options, **more):
        return CarillonProcess(*options, binary=self.binary, **more)

    def test_a_server_is_ready_when_start_returns(self):
        with self.process() as server:
            self.assertEqual(server.request("GET", "/")[0], 200)
            self.assertGreater(server.get_json("/")[1]["asked"], 2)
            self.assertGreater(server.memory_peak_bytes(), 1_000_000)
            self.assertGreater(server.open_files(), 2)
            self.assertIn("started", server.log())

    def test_it_is_gone_with_its_data_afterwards(self):
        with self.process() as server:
            pid, folder = server.pid, server.folder
            self.assertTrue(server.data_dir.exists())
        self.assertFalse(folder.exists())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    def test_it_restarts_on_the_same_port_and_data(self):
        for how in ("stop", "kill"):
            with self.subTest(how=how), self.process() as server:
                port, pid = server.port, server.pid
                server.restart(how)
                self.assertEqual(server.port, port)
                self.assertNotEqual(server.pid, pid)
                self.assertEqual((server.data_dir / "starts").read_text(encoding="ascii"), "xx")

    def test_stop_returns_the_exit_code(self):
        with self.process() as server:
            self.assertEqual(server.stop(), 0)

    def test_a_server_that_ignores_sigterm_fails_the_scenario(self):
        with self.process("--deaf") as server:
            with self.assertRaisesRegex(AssertionError, "after SIGTERM"):
                server.stop(seconds=0.2)

    def test_a_server_that_cannot_start_is_named_with_its_log(self):
        with self.assertRaisesRegex(AssertionError, "cannot start"):
            with self.process("--broken"):
                pass

    def test_other_commands_run_on_the_same_data(self):
        with self.process() as server:
            ran = server.run("echo", "hello", text="there")
            self.assertEqual((ran.returncode, ran.stdout), (3, "hello there\n"))

    def test_a_worker_beside_a_server_shares_its_data(self):
        with self.process() as server:
            with self.process("--bind", f"127.0.0.1:{free_port()}", command="worker", beside=server) as worker:
                worker.wait_for_log("started")
                self.assertEqual(worker.data_dir, server.data_dir)
                worker.kill()
                self.assertEqual(worker.child.returncode, -signal.SIGKILL)
            self.assertTrue(server.data_dir.exists())

    def test_waiting_is_bounded_and_says_what_for(self):
        with self.assertRaisesRegex(AssertionError, "the moon"):
            wait_until(lambda: False, 0.05, "the moon")
        self.assertEqual(wait_until(lambda: 7, 1, "seven"), 7)


if __name__ == "__main__":
    unittest.main()
