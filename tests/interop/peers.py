"""The other side of the interop tests: processes of the Django site, and the frames of its and our sockets."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

from carillon_process import CarillonProcess, default_binary, free_port, wait_until
from child_process import ChildProcess
from raw_websocket import RawWebSocket

PYTHON = "/usr/bin/python3"
SITE = pathlib.Path(__file__).resolve().parent / "django_site"
START_SECONDS = 30
ANSWER_SECONDS = 20
CORE, PUBSUB = "channels_redis.core.RedisChannelLayer", "channels_redis.pubsub.RedisPubSubChannelLayer"


def layer_setting(wire, hosts, **config):
    """Django's CHANNEL_LAYERS entry as JSON; `hosts` are URLs or dictionaries."""
    return json.dumps({"BACKEND": CORE if wire == "core" else PUBSUB, "CONFIG": {"hosts": hosts, **config}})


class PythonProcess(ChildProcess):
    """A process of the Django site."""

    def __init__(self, layer, *command, environment=None):
        super().__init__("python")
        self.command = [PYTHON, *command]
        self.environment = {**os.environ, "INTEROP_CHANNEL_LAYER": layer, "PYTHONDONTWRITEBYTECODE": "1",
                            "PYTHONPATH": str(SITE), "DJANGO_SETTINGS_MODULE": "project.settings",
                            **(environment or {})}

    def enter(self):
        return self.start().wait_ready()

    def start(self, **pipes):
        self.child = self.launch(self.command, env=self.environment, **{"cwd": SITE, **pipes})
        return self

    def wait_ready(self):
        return self

    def wait_for_log(self, text, seconds=START_SECONDS):
        """Returns once the log holds a text."""
        def found():
            self.assert_runs()
            return text in self.log()
        wait_until(found, seconds, f"{text!r} in the log:\n{self.log()}")
        return self

    def close(self):
        """Ends the process, whatever its state; a Django site may do so by itself."""
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout=5)
        super().close()


class HttpSite:
    """What tests ask of either site; `port` is the subclass's, or `unix_socket` a path."""

    unix_socket = None

    def dial(self, seconds=ANSWER_SECONDS):
        """A new connection to the site."""
        if self.unix_socket is None:
            return socket.create_connection(("127.0.0.1", self.port), seconds)
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(seconds)
            made.connect(str(self.unix_socket))
        except OSError:
            made.close()
            raise
        return made

    def request(self, method, path, body=None, headers=None, seconds=60):
        connection = http.client.HTTPConnection("127.0.0.1", timeout=seconds)
        connection.sock = self.dial(seconds)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def socket(self, path, **more):
        """A connection to any path."""
        return Frames(("127.0.0.1", self.port), path, sock=self.dial(), **more)

    def probe(self, *groups):
        """A probe consumer's client in these groups; it knows its channel's name."""
        query = "?group=" + urllib.parse.quote(",".join(groups)) if groups else ""
        return Probe(("127.0.0.1", self.port), "/ws/probe/" + query, sock=self.dial())

    def disconnects(self):
        """What the disconnect handlers of this process heard: {channel: [codes]}."""
        heard = {}
        for entry in json.loads(self.request("GET", "/probe/disconnects/")[2])["disconnects"]:
            heard.setdefault(entry["channel"], []).append(entry["code"])
        return heard


class DaphneSite(HttpSite, PythonProcess):
    """The Django site behind Daphne."""

    def __init__(self, layer):
        self.port = free_port()
        PythonProcess.__init__(self, layer, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port),
                               "project.asgi:application")

    def wait_ready(self):
        def answers():
            self.assert_runs()
            try:
                return self.request("GET", "/healthz", seconds=2)[0] == 200
            except OSError:
                return False
        wait_until(answers, START_SECONDS, f"Daphne answers\n{self.log()}")
        return self


class RunWorker(PythonProcess):
    """Django's `runworker` for hand-named channels."""

    def __init__(self, layer, *channels):
        super().__init__(layer, "manage.py", "runworker", *channels)

    def wait_ready(self):
        return self.wait_for_log("Running worker for channels")


class CeleryWorker(PythonProcess):
    """Celery with the site's tasks; its broker is a Redis URL."""

    def __init__(self, layer, broker):
        super().__init__(layer, "-m", "celery", "--app", "project.celery", "worker", "--pool", "solo",
                         "--without-gossip", "--without-mingle", "--loglevel", "INFO",
                         environment={"INTEROP_CELERY_BROKER": broker})

    def wait_ready(self):
        return self.wait_for_log(" ready.")


class PeerError(Exception):
    """An exception in the Python peer; its class is `kind`."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class PythonPeer(PythonProcess):
    """control.py: a Python process that uses the real channel layer as it is told; `broker` is Celery's."""

    def __init__(self, layer, broker=""):
        super().__init__(layer, "control.py", environment={"INTEROP_CELERY_BROKER": broker})
        self.lock, self.last, self.waiting = threading.Lock(), 0, {0: concurrent.futures.Future()}
        self.ready = self.waiting[0]

    def start(self, **_):
        super().start(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def wait_ready(self):
        self.ready.result(START_SECONDS)
        return self

    def _read(self):
        for line in self.child.stdout:
            answer = json.loads(line)
            with self.lock:
                future = self.waiting.pop(answer["id"])
            if "error" in answer:
                future.set_exception(PeerError(answer["error"], answer["text"]))
            else:
                future.set_result(answer["value"])
        self.child.stdout.close()
        with self.lock:
            left = list(self.waiting.values())
            self.waiting.clear()
        for future in left:
            future.set_exception(ConnectionError("the Python peer has ended"))

    def begin(self, order, **arguments):
        """Starts an order; returns the future of its value, which may be a PeerError."""
        future = concurrent.futures.Future()
        with self.lock:
            self.last += 1
            number = self.last
            self.waiting[number] = future
        self.child.stdin.write(json.dumps({"id": number, "do": order, "with": arguments}).encode() + b"\n")
        self.child.stdin.flush()
        return future

    def call(self, order, *, wait=ANSWER_SECONDS, **arguments):
        return self.begin(order, **arguments).result(wait)

    def group_send(self, group, event):
        self.call("group_send", group=group, event=event)

    def send(self, channel, event):
        self.call("send", channel=channel, event=event)

    def close(self):
        if self.child and self.child.poll() is None:
            self.child.stdin.close()
        super().close()


class LayerRefusal(Exception):
    """The site's layer refused or failed; `code` is Carillon's error code."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body!r}")
        self.status = status
        self.code = json.loads(body)["error"]["code"]


class CarillonSite(HttpSite, CarillonProcess):
    """carillon-interop, on a Redis layer. `options` follow `serve`."""

    def __init__(self, *options, **more):
        binary = default_binary().parent / "carillon-interop"
        CarillonProcess.__init__(self, *options, demo=False, binary=binary, **more)

    def order(self, path, content, seconds=60):
        """A control route's answer; raises LayerRefusal."""
        status, _, body = self.request("POST", path, json.dumps(content), {"Content-Type": "application/json"}, seconds)
        if status != 200:
            raise LayerRefusal(status, body)
        return json.loads(body)

    def group_send(self, group, event):
        return self.order("/layer/group_send/" + urllib.parse.quote(group, safe=""), event)

    def send(self, channel, event):
        return self.order("/layer/send/" + urllib.parse.quote(channel, safe=""), event)

    def metric(self, name, **labels):
        """The value of a counter, 0 where it is absent; summed over what `labels` leave open."""
        total = 0.0
        for line in self.request("GET", "/metrics")[2].decode().splitlines():
            head, _, number = line.rpartition(" ")
            family, _, rest = head.partition("{")
            if family == name and all(f'{key}="{value}"' in rest for key, value in labels.items()):
                total += float(number)
        return total


class Frames(RawWebSocket):
    """A WebSocket client whose messages are read one by one, each within a time."""

    def next(self, seconds=ANSWER_SECONDS):
        """The next message as (text or bytes). Anything else is an error."""
        deadline = time.monotonic() + seconds
        while True:
            got = self.event(max(0, deadline - time.monotonic()))
            if got is None:
                raise AssertionError(f"no message in {seconds} s")
            if got[0] == "message":
                return got[1] if got[2] else got[1].decode()
            if got[0] != "ping":
                raise AssertionError(f"{got} instead of a message")

    def next_json(self, seconds=ANSWER_SECONDS):
        return json.loads(self.next(seconds))

    def send_json(self, content):
        self.send_text(json.dumps(content))


class Probe(Frames):
    """The client of a probe consumer."""

    def __init__(self, address, path, sock):
        super().__init__(address, path, sock=sock, timeout=ANSWER_SECONDS)
        self.channel = self.next_json()["channel_name"]
        self.gaps = 0

    def tell(self, order, **more):
        """An order that is answered; events that come before the answer are refused."""
        self.send_json({"do": order, **more})
        got = self.next_json()
        if got != {"done": order}:
            raise AssertionError(f"{got} instead of the answer to {order}")

    def get(self, seconds=ANSWER_SECONDS):
        """The next event. Gaps are counted, not returned."""
        while True:
            got = self.next_json(seconds)["event"]
            if got != {"type": "layer.gap"}:
                return got
            self.gaps += 1

    def until(self, wanted, seconds=ANSWER_SECONDS):
        """All events before the one that equals `wanted`: a marker proves what did not come."""
        before, deadline = [], time.monotonic() + seconds
        while True:
            got = self.get(max(0.001, deadline - time.monotonic()))
            if got == wanted:
                return before
            before.append(got)
