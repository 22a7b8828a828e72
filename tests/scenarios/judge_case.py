"""What the scenarios of hostile and foreign clients share: one server, and the honest client after each test."""

import json
import select
import time
import unittest

from carillon_process import CarillonProcess
from raw_http import exchange, request
from raw_websocket import RawWebSocket

HONEST_SECONDS = 3
ECHO = "/ws/echo/"


def known_options(wanted):
    """Those of the wanted `--name value` pairs that `serve` has, as arguments; the tests adapt to what is left."""
    text = CarillonProcess().run("serve", "--help").stdout
    chosen = {name: value for name, value in wanted.items() if f"{name} " in text or f"{name}," in text}
    return [word for pair in chosen.items() for word in pair], chosen


class JudgeCase(unittest.TestCase):
    """Starts one server with --bench for the class. After each test an honest client must be served at once."""

    options = ()
    demo = True

    @classmethod
    def setUpClass(cls):
        cls.server = CarillonProcess("--bench", *cls.options, demo=cls.demo)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.address = ("127.0.0.1", cls.server.port)
        cls.host = f"127.0.0.1:{cls.server.port}"

    def tearDown(self):
        self.assert_honest_client_is_served()

    def assert_honest_client_is_served(self):
        begin = time.monotonic()
        with self.websocket(timeout=HONEST_SECONDS) as honest:
            honest.send_text("still there?")
            self.assertEqual(honest.event(HONEST_SECONDS), ("message", b"still there?", False))
        self.assertEqual(exchange(self.address, request("GET", "/healthz", self.host), HONEST_SECONDS).status, 200)
        self.assertLess(time.monotonic() - begin, HONEST_SECONDS)

    def websocket(self, path=ECHO, **more):
        more.setdefault("origin", f"http://{self.host}")
        return RawWebSocket(self.address, path, **more)

    def ask(self, method, path, *headers, body=b"", timeout=10):
        return exchange(self.address, request(method, path, self.host, *headers, body=body), timeout, method == "HEAD")

    def assert_error(self, answer, *statuses):
        """One of these statuses, with the error object that the contract promises."""
        self.assertIsNotNone(answer, "the server hung up without an answer")
        self.assertIn(answer.status, statuses, answer)
        error = json.loads(answer.body)["error"]
        self.assertRegex(error["code"], r"^[a-z][a-z0-9_]*$")
        self.assertTrue(error["message"].strip())

    def assert_closes(self, client, code, seconds=5):
        """The next event is that close, and the server then ends the socket."""
        got = client.event(seconds)
        self.assertIsNotNone(got, f"no close in {seconds} s")
        self.assertEqual(got[:2], ("close", code))
        self.assertEqual((client.event(seconds) or ("nothing",))[0], "end")

    def flood(self, client, data, seconds):
        """Writes as fast as the server takes it, reading nothing, for at most that long; returns the octets taken."""
        client.sock.setblocking(False)
        taken, end, view = 0, time.monotonic() + seconds, memoryview(data)
        while time.monotonic() < end and taken < len(view):
            try:
                taken += client.sock.send(view[taken:taken + (1 << 18)])
            except BlockingIOError:
                poll = select.poll()
                poll.register(client.sock, select.POLLOUT)
                poll.poll(100)
            except OSError:
                break
        return taken

    def memory_growth(self, before):
        return self.server.memory_bytes() - before
