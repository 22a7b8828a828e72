"""A node of Carillon beside Python processes: its start and its end, rotated keys, three hosts, prefixes. Scenarios 21,
24, 25, 27, 28."""

import signal
import time

from interop_case import KEYS, PROCESS_ID, InteropCase, event, process_key, vectors
from peers import PythonPeer, layer_setting
from raw_websocket import CLOSE, close_payload, frame


class Restarts(InteropCase):
    with_daphne = False
    python_config = {"expiry": 3}
    carillon_options = ("--channel-expiry", "3")

    def test_21_a_killed_node_has_a_new_name_and_hears_nothing_of_its_former_life(self):
        group = self.group()
        node = self.node()
        before = self.probe(node, group)
        node.kill()
        self.peer.group_send(group, event(n=1))
        self.peer.send(before.channel, event(n=2))
        self.assertEqual(self.waiting(process_key(before.channel)), 2)
        node.start()
        after = self.probe(node, group)
        self.assertNotEqual(PROCESS_ID.search(after.channel).group(), PROCESS_ID.search(before.channel).group())
        self.peer.group_send(group, event("probe.marker"))
        self.assert_nothing_before(after, event("probe.marker"))
        self.assertLessEqual(self.redis.command("TTL", process_key(before.channel)), 3)
        # The dead node's name has a day to live, and each send to its group would renew its queue.
        self.redis.command("ZREMRANGEBYRANK", f"asgi:group:{group}", 0, -1)
        self.until(lambda: not self.redis.command("EXISTS", process_key(before.channel)), "the old queue is gone")

    def test_21_a_node_that_stops_leaves_nothing_in_redis(self):
        group = self.group()
        node = self.node()
        probe = self.probe(node, group)
        self.peer.group_send(group, event(n=1))
        self.assertEqual(probe.get(), event(n=1))
        name = PROCESS_ID.search(probe.channel).group().encode()
        node.child.send_signal(signal.SIGTERM)
        self.assertEqual(probe.event()[:2], ("close", 1012))
        probe.send(frame(CLOSE, close_payload(1012)))
        self.assertEqual(node.child.wait(10), 0)
        keys = self.redis.command("KEYS", "*")
        left = [key for key in keys if name in key]
        left += [key for key in keys if self.redis.command("TYPE", key) == b"zset"
                 and any(name in one for one in self.redis.command("ZRANGE", key, 0, -1))]
        self.assertEqual(left, [])


class Keys(InteropCase):
    """Encryption with [new, old] at the node."""

    with_daphne = with_peer = False
    keys = KEYS

    def with_keys(self, *keys):
        setting = layer_setting("core", [self.redis.url()], symmetric_encryption_keys=list(keys))
        return self.for_test(PythonPeer(setting))

    def undecodable(self):
        return self.carillon.metric("carillon_layer_dropped_total", reason="undecodable")

    def test_24_messages_under_the_old_key_are_read_and_new_ones_are_under_the_new(self):
        probe = self.probe(self.carillon, self.group())
        old, new = self.with_keys(KEYS[1]), self.with_keys(KEYS[0])
        for number, sender in enumerate((old, new)):
            sender.group_send(self.group(), event(n=number))
            self.assertEqual(probe.get(), event(n=number))
        channel = new.call("new_channel")
        self.carillon.send(channel, event(n=2))
        self.assertEqual(new.call("receive", channel=channel, seconds=5), event(n=2))

    def test_25_messages_under_a_wrong_key_under_none_or_too_old_are_dropped(self):
        probe, right = self.probe(self.carillon, self.group()), self.with_keys(KEYS[0])
        before = self.undecodable()
        self.with_keys("a key that the node has not").group_send(self.group(), event(n=1))
        self.with_keys().group_send(self.group(), event(n=2))
        key = process_key(probe.channel)
        for row in vectors()["core_layer_message_bytes"]["encrypted"]["messages"]:
            self.redis.command("ZADD", key, time.time(), bytes.fromhex(row["redis_member_hex"]))
        right.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(probe, event("probe.marker"))
        rows = len(vectors()["core_layer_message_bytes"]["encrypted"]["messages"])
        self.assertEqual(self.undecodable() - before, 2 + rows)


class ThreeHosts(InteropCase):
    hosts = 3

    def test_27_a_group_message_reaches_thirty_nodes_wherever_their_queues_are(self):
        group = self.group()
        probes = []
        for _ in range(3):
            nodes = [self.make_node("--threads", "1") for _ in range(10)]
            self.start_together(*nodes)
            probes += [self.probe(node, group) for node in nodes]
            self.peer.group_send(group, event(n=len(probes)))
            self.assert_all_get(probes, event(n=len(probes)))
            for probe in probes[-10:]:
                probe.close()
            probes = []
            for node in nodes:
                node.close()

    def test_28_direct_messages_reach_all_sockets_of_carillon(self):
        probes = [self.probe(self.carillon) for _ in range(30)]
        for number, probe in enumerate(probes):
            self.peer.send(probe.channel, event(n=number))
        for number, probe in enumerate(probes):
            self.assertEqual(probe.get(), event(n=number))

    def test_28_direct_messages_reach_all_consumers_of_django(self):
        probes = [self.probe(self.daphne) for _ in range(30)]
        for number, probe in enumerate(probes):
            self.carillon.send(probe.channel, event(n=number))
        for number, probe in enumerate(probes):
            self.assertEqual(probe.get(), event(n=number))


class OtherPrefix(InteropCase):
    """Two sites on one Redis, told apart by their prefixes."""

    python_config = {"prefix": "shop", "capacity": 7, "channel_capacity": {"specific.*!g.*": 1000}}
    carillon_options = ("--channel-prefix", "shop", "--channel-capacity", "7")

    def test_two_sites_with_different_prefixes_do_not_hear_each_other(self):
        group = self.group()
        stranger = self.node("--channel-prefix", "other")
        probes = [self.probe(site, group) for site in (self.carillon, self.daphne)]
        apart = self.probe(stranger, group)
        self.carillon.group_send(group, event(n=1))
        self.peer.group_send(group, event(n=2))
        for probe in probes:
            self.assertEqual([probe.get(), probe.get()], [event(n=1), event(n=2)])
        stranger.group_send(group, event("probe.marker"))
        self.assert_nothing_before(apart, event("probe.marker"))

    def test_12_the_capacity_is_the_configured_one(self):
        channel = self.peer.call("new_channel")
        for number in range(7):
            self.carillon.send(channel, event(n=number))
        self.assert_refused("channel_full", self.carillon.send, channel, event(n=7))
