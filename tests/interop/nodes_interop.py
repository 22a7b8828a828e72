"""A node of Carillon beside Python processes: what it does with messages that are not for it or not sound, at its start
and its end, when keys are rotated, and on three hosts. Scenarios 8, 16 to 18, 20, 21, 24, 25, 27, 28."""

import os
import random
import signal
import time

import msgpack

from interop_case import KEYS, PROCESS_ID, InteropCase, event, process_key, vectors
from peers import PythonPeer, layer_setting
from raw_websocket import CLOSE, close_payload, frame

STRANGERS, BATCH = 100_000, 5_000
GROWTH_BYTES_MAX = 16 << 20
HUGE_BYTES = 100 << 20


def member(content):
    """The bytes of a core message that nobody encrypted."""
    return os.urandom(12) + msgpack.packb(content)


class Malformed(InteropCase):
    with_daphne = False
    # 100 MB are put into Redis at once; the limit on a message stays as it is.
    carillon_options = ("--group-expiry", "4")

    def setUp(self):
        self.witness = self.probe(self.carillon, self.group())
        self.key = process_key(self.witness.channel)

    def put(self, *members):
        """Puts members under the node's own key, as whoever knows the key can."""
        with self.redis.connect(30) as connection:
            for at, one in enumerate(members):
                connection.send("ZADD", self.key, time.time() + at * 1e-6, one)
            for _ in members:
                connection.read()
        # Python's senders would find more than their capacity waiting.
        self.until(lambda: self.waiting(self.key) == 0, "the node has taken all of them")

    def dropped(self, reason):
        return self.carillon.metric("carillon_layer_dropped_total", reason=reason)

    def assert_dropped(self, reason, *members):
        """All are dropped for this reason, the next good message arrives, nobody is disconnected."""
        before = self.dropped(reason)
        self.put(*members)
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(self.witness, event("probe.marker"))
        self.assertEqual(self.dropped(reason) - before, len(members))

    def test_08_messages_to_unknown_sockets_are_dropped_and_cost_no_memory(self):
        nobody = self.witness.channel[:-32] + "0" * 32
        self.assert_dropped("no_receiver", *[member(event(n=n, __asgi_channel__=nobody)) for n in range(BATCH)])
        before = self.carillon.memory_bytes()
        for _ in range(STRANGERS // BATCH - 1):
            names = [nobody[:-8] + f"{random.getrandbits(32):08x}" for _ in range(BATCH)]
            self.assert_dropped("no_receiver", *[member(event(__asgi_channel__=name)) for name in names])
        self.assertLess(self.carillon.memory_bytes() - before, GROWTH_BYTES_MAX)

    def test_16_random_bytes(self):
        self.assert_dropped("undecodable", *[os.urandom(12) + b"\xc1" + os.urandom(n) for n in range(200)])

    def test_16_truncated_messages(self):
        whole = member(event("chat.message", text="hi", numbers=[1, 2.5, None], __asgi_channel__=self.witness.channel))
        self.assert_dropped("undecodable", *[whole[:size] for size in range(1, len(whole))])

    def test_16_wrong_types(self):
        to = {"__asgi_channel__": self.witness.channel}
        wrong = [[1, 2], 7, "text", None, {"type": 5, **to}, {"type": None, **to}, {"type": ["x.y"], **to}, {**to},
                 {"type": "x.y", 5: "number as key", **to}]
        self.assert_dropped("undecodable", *[member(one) for one in wrong])

    def test_16_addresses_of_wrong_types_and_none(self):
        before = self.dropped("undecodable") + self.dropped("no_receiver")
        wrong = [{"type": "x.y", "__asgi_channel__": address} for address in (5, None, {"a": 1}, [1, 2])]
        wrong.append({"type": "x.y"})
        self.put(*[member(one) for one in wrong])
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(self.witness, event("probe.marker"))
        self.assertEqual(self.dropped("undecodable") + self.dropped("no_receiver") - before, len(wrong))

    def test_16_a_wrong_kind_of_key(self):
        """Another program has put a list where the node's queue should be; once it is gone the node reads on."""
        self.redis.command("DEL", self.key)
        self.redis.command("RPUSH", self.key, "no sorted set")
        self.witness.tell("nothing")
        self.redis.command("DEL", self.key)

        def heard():
            self.peer.group_send(self.group(), event("probe.marker"))
            return self.witness.event(0.5) is not None
        self.until(heard, "the node reads its queue again")

    def test_16_a_message_of_100_megabytes(self):
        text = b"x" * HUGE_BYTES
        before = self.dropped("too_large")
        self.put(member({"type": "x.y", "text": text, "__asgi_channel__": self.witness.channel}))
        del text
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assertEqual(self.witness.until(event("probe.marker"), 60), [])
        self.assertEqual(self.dropped("too_large") - before, 1)

    def test_17_messages_that_pose_as_frames_of_a_client_are_none(self):
        for type in ("websocket.receive", "websocket.disconnect", "http.request"):
            self.peer.group_send(self.group(), {"type": type, "text": '{"do": "raise"}', "code": 1000})
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(self.witness, event("probe.marker"))

    def test_18_an_unknown_type_is_logged_at_most_once_a_second_and_the_socket_stays(self):
        begun = time.monotonic()
        for _ in range(200):
            self.peer.group_send(self.group(), event("no.such.type"))
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(self.witness, event("probe.marker"))
        lines = [line for line in self.carillon.log().splitlines() if "no.such.type" in line or "no_such_type" in line]
        self.assertTrue(1 <= len(lines) <= 2 + time.monotonic() - begun, lines)
        self.assertGreaterEqual(self.carillon.metric("carillon_events_unhandled_total"), 200)

    def test_20_a_membership_outlives_its_expiry_because_it_is_renewed(self):
        joined, group = time.time(), self.group()
        own = next(one for one in self.members(group))

        def renewed():
            score = self.redis.command("ZSCORE", f"asgi:group:{group}", own)
            return score is not None and float(score) > joined + 4
        self.until(renewed, "the membership was renewed after it would have ended", 15)
        self.peer.group_send(group, event(n=1))
        self.assertEqual(self.witness.get(), event(n=1))


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
