"""Redis as operators run it: over TLS, behind Sentinels, on a unix socket, with a password. Each once, with Python
beside Carillon."""

import pathlib
import tempfile
import time

from carillon_process import free_port
from certificates import certificate
from interop_case import InteropCase, event
from peers import PythonPeer, layer_setting
from redis_process import RedisProcess

MASTER = "interop"
FAILOVER_SECONDS = 30


class ServiceCase(InteropCase):
    """The class makes its own servers; each test says where both sides find them."""

    @classmethod
    def setUpClass(cls):
        """Nothing is shared."""

    def meet(self, url, host, wire="core"):
        """A node, a Python peer and a probe at the node that both have reached."""
        node = self.for_test(self.make_node(url=url))
        peer = self.for_test(PythonPeer(layer_setting(wire, [host])))
        probe = self.probe(node, "room")
        self.assert_both_reach(node, peer, probe)
        return node, peer, probe

    def assert_both_reach(self, node, peer, probe):
        peer.group_send("room", event(by="python"))
        self.assertEqual(probe.get(), event(by="python"))
        node.group_send("room", event(by="carillon"))
        self.assertEqual(probe.get(), event(by="carillon"))


class Tls(ServiceCase):
    def test_redis_over_tls_on_both_wires(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        key, cert = certificate(folder)
        port = free_port()
        self.enterContext(RedisProcess("--tls-port", str(port), "--tls-cert-file", str(cert), "--tls-key-file",
                                       str(key), "--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no",
                                       unix_socket=True))
        where = f"127.0.0.1:{port}/0?ssl_ca_certs={cert}"
        self.meet(f"rediss://{where}", f"rediss://{where}")
        self.meet(f"rediss+pubsub://{where}", f"rediss://{where}", "pubsub")


class Places(ServiceCase):
    def test_a_unix_socket(self):
        redis = self.enterContext(RedisProcess(unix_socket=True))
        self.meet(redis.url(), redis.url())

    def test_a_password_and_another_database(self):
        redis = self.enterContext(RedisProcess("--requirepass", "s3cret", password="s3cret"))
        url = redis.url(database=3)
        self.meet(url, url)
        self.assertTrue(redis.command("EXISTS", "asgi:group:room", database=3))


class Sentinels(ServiceCase):
    def test_a_failover_is_followed_and_sockets_stay(self):
        master = self.enterContext(RedisProcess())
        replica = self.enterContext(RedisProcess("--replicaof", "127.0.0.1", str(master.port)))
        self.until(lambda: replica.info("replication")["master_link_status"] == "up", "the replica follows")
        sentinel = self.enterContext(RedisProcess(sentinel=(
            f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 1\nsentinel down-after-milliseconds {MASTER} 500\n"
            f"sentinel failover-timeout {MASTER} 5000\n")))
        self.until(lambda: self.replicas(sentinel) == 1, "the Sentinel knows the replica", FAILOVER_SECONDS)
        host = {"sentinels": [["127.0.0.1", sentinel.port]], "master_name": MASTER}
        node, peer, probe = self.meet(f"redis+sentinel://127.0.0.1:{sentinel.port}/{MASTER}/0", host)
        master.kill()
        self.until(lambda: self.is_master(replica), "the failover", FAILOVER_SECONDS)
        begun = time.monotonic()
        self.assertEqual(probe.next_json(FAILOVER_SECONDS), {"event": {"type": "layer.gap"}})
        print(f"told the gap {time.monotonic() - begun:.1f} s after the failover", end=" ")
        self.until(lambda: self.reached(peer, probe), "the Python peer follows too", FAILOVER_SECONDS)
        self.assert_both_reach(node, peer, probe)

    @staticmethod
    def is_master(server):
        """Whether it has been promoted; its clients are cut in that moment, this one too."""
        try:
            return server.info("replication")["role"] == "master"
        except ConnectionError:
            return False

    @staticmethod
    def replicas(sentinel):
        return len(sentinel.command("SENTINEL", "replicas", MASTER))

    @staticmethod
    def reached(peer, probe):
        """Whether a message of the peer arrives; its first attempts fail on connections to the old master."""
        try:
            peer.group_send("room", event("probe.marker"))
        except Exception:
            return False
        probe.until(event("probe.marker"))
        return True
