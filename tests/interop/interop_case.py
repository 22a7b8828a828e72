"""What the interop tests share: Redis servers, a Django site behind Daphne, a Python peer and nodes of Carillon."""

import contextlib
import json
import re
import unittest

from carillon_process import ROOT, wait_until
from peers import CarillonSite, DaphneSite, PythonPeer, RunWorker, layer_setting
from redis_process import RedisProcess

VECTORS = ROOT / "tests/data/channel_layer_vectors.json"
KEYS = ["correct horse battery staple, 32+ bytes of entropy!", "the key of last year"]
BYTES = {"__bytes_hex__": "00ff"}
SOON = 5
NOTICE_SECONDS = 10
# As many hexadecimal digits as a process id of channels_redis, or of Carillon, has.
PROCESS_ID = re.compile(r"specific\.[0-9a-f]{32}")


def vectors():
    """What channels_redis 4.0.0 and 4.3.0 were seen to write and read."""
    return json.loads(VECTORS.read_text(encoding="utf-8"))


def event(type="probe.event", **members):
    return {"type": type, **members}


def process_key(channel, prefix="asgi"):
    """The sorted set that a channel's process reads."""
    return f"{prefix}{channel[:channel.index('!') + 1]}"


class InteropCase(unittest.TestCase):
    """One arrangement of a layer for a class of tests; subclasses say which."""

    wire = "core"  # or "pubsub"
    hosts = 1
    keys = ()  # of encryption, for both sides
    python_config = {}  # more of Django's CONFIG
    carillon_options = ()
    nodes = 1  # of Carillon
    with_daphne = with_peer = True

    @classmethod
    def setUpClass(cls):
        cls.running = contextlib.ExitStack()
        cls.addClassCleanup(cls.running.close)
        cls.servers = [cls.enter(RedisProcess()) for _ in range(cls.hosts)]
        cls.redis = cls.servers[0]
        cls.start_peers()

    @classmethod
    def start_peers(cls):
        """Everything at once, since each takes a second to start."""
        cls.carillons = [cls.make_node() for _ in range(cls.nodes)]
        cls.carillon = cls.carillons[0] if cls.carillons else None
        cls.daphne = DaphneSite(cls.django_layer()) if cls.with_daphne else None
        cls.peer = PythonPeer(cls.django_layer()) if cls.with_peer else None
        cls.start_together(cls.peer, cls.daphne, *cls.carillons)

    @classmethod
    def start_together(cls, *processes):
        """Starts them side by side; returns when all are ready. They end with the class."""
        present = [one for one in processes if one]
        for one in present:
            cls.running.callback(one.close)
            one.start(wait=False) if isinstance(one, CarillonSite) else one.start()
        for one in present:
            one.wait_ready()
        return processes[0]

    @classmethod
    def enter(cls, context):
        return cls.running.enter_context(context)

    @classmethod
    def django_layer(cls, **more):
        encryption = {"symmetric_encryption_keys": list(cls.keys)} if cls.keys else {}
        addresses = [server.url() for server in cls.servers]
        return layer_setting(cls.wire, addresses, **{**encryption, **cls.python_config, **more})

    @classmethod
    def layer_url(cls):
        scheme = "redis" if cls.wire == "core" else "redis+pubsub"
        return ",".join(server.url(scheme) for server in cls.servers)

    @classmethod
    def make_node(cls, *options, keys=None, url=None):
        """A node of Carillon on the class's layer, not started yet."""
        words = ["--workers", "0", "--threads", "2", "--channel-layer", url or cls.layer_url()]
        for key in cls.keys if keys is None else keys:
            words += ["--channel-key", key]
        return CarillonSite(*words, *cls.carillon_options, *options)

    def node(self, *options, **more):
        """A further node for this test alone."""
        return self.for_test(self.make_node(*options, **more))

    def for_test(self, context):
        return self.enterContext(context)

    def runworker(self, *channels):
        return self.for_test(RunWorker(self.django_layer(), *channels))

    def probe(self, site, *groups):
        """A probe's client in these groups, closed at the end of the test."""
        return self.for_test(site.probe(*groups))

    def group(self):
        """A group's name that no other test uses."""
        return self.id().rsplit(".", 2)[-1][:60]

    # --- Redis ---

    def anywhere(self, *command):
        """A command on every host; the answers."""
        return [server.command(*command) for server in self.servers]

    def members(self, group, prefix="asgi"):
        """The members of a group on all hosts, core's wire."""
        found = self.anywhere("ZRANGE", f"{prefix}:group:{group}", 0, -1)
        return [member.decode() for members in found for member in members]

    def waiting(self, key):
        """How many messages wait under a key, on all hosts."""
        return sum(self.anywhere("ZCARD", key))

    def until(self, condition, what, seconds=NOTICE_SECONDS):
        return wait_until(condition, seconds, what)

    # --- assertions ---

    def assert_all_get(self, probes, wanted):
        """Each of them gets exactly this event next."""
        for number, one in enumerate(probes):
            self.assertEqual(one.get(), wanted, f"probe {number}")

    def assert_nothing_before(self, probe, marker):
        self.assertEqual(probe.until(marker), [])

    def assert_refused(self, code, call, *arguments):
        """The call is refused by Carillon's layer with that code."""
        with self.assertRaises(Exception) as caught:
            call(*arguments)
        self.assertEqual(getattr(caught.exception, "code", caught.exception), code)
