"""Starts the real program for a scenario: a free port, its own data folder, readiness without blind waiting."""

import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import time

from child_process import ChildProcess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 20
PAUSE_SECONDS = 0.02
FIRST_PORT = 10_000


def default_binary():
    """The program under test: CARILLON_BINARY, which run.py sets, or the release build."""
    return pathlib.Path(os.environ.get("CARILLON_BINARY", ROOT / "build/release/bin/carillon-showcase")).resolve()


def free_port():
    """A port of 127.0.0.1 that nobody listens on now. The system takes none of these for outgoing connections, so that
    it stays free while its server is down."""
    outgoing_from = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        port = random.randrange(FIRST_PORT, max(outgoing_from, FIRST_PORT + 1000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition, seconds, what):
    """Calls condition() until it is true and returns its value; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(PAUSE_SECONDS)


class CarillonProcess(ChildProcess):
    """One process of the program; its data lie in its folder.

    `options` follow the command. A process of command "serve" listens on self.port; other commands (worker, beat)
    share the data folder of a server: CarillonProcess("-c", "2", command="worker", beside=server). With `health` they
    answer /healthz, /readyz and /metrics on a port of their own, self.port, and are ready when start() returns."""

    def __init__(self, *options, command="serve", demo=True, beside=None, scheme="http", environment=None, binary=None,
                 health=False):
        super().__init__(command, beside.folder if beside else None)
        self.binary = pathlib.Path(binary or default_binary())
        self.options, self.command, self.demo, self.scheme = list(options), command, demo, scheme
        self.environment = {**os.environ, **(environment or {})}
        self.health = health
        self.port = beside.port if beside and not health else free_port()
        self.data_dir = self.folder / "data"

    def arguments(self):
        """The whole command line."""
        words = [str(self.binary), self.command]
        if self.command == "serve":
            words += ["--demo"] if self.demo else []
            words += ["--bind", f"127.0.0.1:{self.port}"]
        elif self.health:
            words += ["--health-bind", f"127.0.0.1:{self.port}"]
        return words + ["--data-dir", str(self.data_dir), *self.options]

    def start(self, wait=True):
        """Starts the process on the same port and data as before; one with a port is ready when this returns."""
        self.child = self.launch(self.arguments(), env=self.environment)
        if wait and (self.command == "serve" or self.health):
            self.wait_ready()
        return self

    def wait_ready(self, seconds=READY_SECONDS):
        """Returns once GET /readyz answers 200; fails at once when the process ends instead."""
        wait_until(self.is_ready, seconds, f"GET /readyz answers 200\n{self.log_tail()}")

    def is_ready(self):
        self.assert_runs()
        try:
            return self.request("GET", "/readyz", seconds=2)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def unready(self):
        """What /readyz says of a process that is not ready, or None."""
        status, value = self.get_json("/readyz")
        return value if status == 503 else None

    def wait_for_log(self, text, seconds=READY_SECONDS):
        """Returns once the log holds a text: for workers without a port."""
        wait_until(lambda: text in self.log(), seconds, f"{text!r} in the log\n{self.log_tail()}")

    def request(self, method, path, body=None, headers=None, seconds=30):
        """One request on a connection of its own; returns (status, headers, body)."""
        if self.scheme == "https":
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=seconds, context=trusting)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get_json(self, path, **more):
        """GET with an answer in JSON; returns (status, value)."""
        status, _, body = self.request("GET", path, headers={"Accept": "application/json"}, **more)
        return status, json.loads(body)

    def url(self, path="/"):
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def ws_url(self, path):
        return f"{'wss' if self.scheme == 'https' else 'ws'}://127.0.0.1:{self.port}{path}"

    def run(self, *arguments, text=None, seconds=60):
        """Runs another command of the program on the same data folder to its end."""
        command = [str(self.binary), *arguments, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, input=text or "", capture_output=True, text=True, timeout=seconds,
                              env=self.environment, cwd=self.folder, check=False)

    @contextlib.contextmanager
    def running(self, *arguments):
        """Another command of the program on the same data folder, its output piped; it is killed if it has no end."""
        child = subprocess.Popen([str(self.binary), *arguments, "--data-dir", str(self.data_dir)], text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env=self.environment, cwd=self.folder)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.communicate()

    def quit(self, seconds=10):
        """SIGQUIT, the cold stop; returns the exit code."""
        self.child.send_signal(signal.SIGQUIT)
        return self.child.wait(timeout=seconds)

    def memory_peak_bytes(self):
        """The most memory the process ever held (VmHWM)."""
        return self.status_kib("VmHWM") * 1024

    def memory_bytes(self):
        """What the process holds now (VmRSS)."""
        return self.status_kib("VmRSS") * 1024

    def status_kib(self, name):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise AssertionError(f"no {name} of process {self.pid}: it has ended")

    def open_files(self):
        """How many descriptors the process holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))
