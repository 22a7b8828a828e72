"""Messages that are not for a node or not sound: dropped and counted, nobody disconnected, the next good one delivered.
Scenarios 8, 16, 17, 18, 20 on both wires."""

import os
import random
import time

import msgpack

from interop_case import InteropCase, event, process_key

STRANGERS, BATCH = 100_000, 5_000
GROWTH_BYTES_MAX = 16 << 20
LARGE_BYTES, HUGE_BYTES = 20 << 20, 100 << 20


class MalformedTests:
    """What holds on both wires. `to` addresses a message to the witness, `put` puts bytes where the node reads."""

    with_daphne = False

    def setUp(self):
        self.witness = self.probe(self.carillon, self.group())
        self.address()

    def dropped(self, reason):
        return self.carillon.metric("carillon_layer_dropped_total", reason=reason)

    def assert_dropped(self, reason, *members):
        """All are dropped for this reason, the next good message arrives, nobody is disconnected."""
        before = self.dropped(reason)
        self.put(*members)
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(self.witness, event("probe.marker"))
        self.assertEqual(self.dropped(reason) - before, len(members))

    def test_16_random_bytes(self):
        self.assert_dropped("undecodable", *[self.prefix() + b"\xc1" + os.urandom(n) for n in range(200)])

    def test_16_truncated_messages(self):
        whole = self.message(event("chat.message", text="hi", numbers=[1, 2.5, None], **self.to))
        self.assert_dropped("undecodable", *[whole[:size] for size in range(1, len(whole))])

    def test_16_wrong_types(self):
        to = self.to
        wrong = [[1, 2], 7, "text", None, {"type": 5, **to}, {"type": None, **to}, {"type": ["x.y"], **to}, {**to},
                 {"type": "x.y", 5: "number as key", **to}]
        self.assert_dropped("undecodable", *[self.message(one) for one in wrong])

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


class CoreMalformed(MalformedTests, InteropCase):
    carillon_options = ("--group-expiry", "4")

    def address(self):
        self.key = process_key(self.witness.channel)
        self.to = {"__asgi_channel__": self.witness.channel}

    @staticmethod
    def prefix():
        return os.urandom(12)

    def message(self, content):
        return self.prefix() + msgpack.packb(content)

    def put(self, *members):
        """Puts members under the node's own key, as whoever knows the key can."""
        with self.redis.connect(30) as connection:
            for at, one in enumerate(members):
                connection.send("ZADD", self.key, time.time() + at * 1e-6, one)
            for _ in members:
                connection.read()
        # Python's senders would find more than their capacity waiting.
        self.until(lambda: self.waiting(self.key) == 0, "the node has taken all of them")

    def test_08_messages_to_unknown_sockets_are_dropped_and_cost_no_memory(self):
        nobody = self.witness.channel[:-32] + "0" * 32
        self.assert_dropped("no_receiver", *[self.message(event(n=n, __asgi_channel__=nobody)) for n in range(BATCH)])
        before = self.carillon.memory_bytes()
        for _ in range(STRANGERS // BATCH - 1):
            names = [nobody[:-8] + f"{random.getrandbits(32):08x}" for _ in range(BATCH)]
            self.assert_dropped("no_receiver", *[self.message(event(__asgi_channel__=name)) for name in names])
        self.assertLess(self.carillon.memory_bytes() - before, GROWTH_BYTES_MAX)

    def test_16_addresses_of_wrong_types_and_none(self):
        before = self.dropped("undecodable") + self.dropped("no_receiver")
        wrong = [{"type": "x.y", "__asgi_channel__": address} for address in (5, None, {"a": 1}, [1, 2])]
        wrong.append({"type": "x.y"})
        self.put(*[self.message(one) for one in wrong])
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
        self.put(self.message({"type": "x.y", "text": text, "__asgi_channel__": self.witness.channel}))
        del text
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assertEqual(self.witness.until(event("probe.marker"), 60), [])
        self.assertEqual(self.dropped("too_large") - before, 1)

    def test_20_a_membership_outlives_its_expiry_because_it_is_renewed(self):
        joined, group = time.time(), self.group()
        own = next(one for one in self.members(group))

        def renewed():
            score = self.redis.command("ZSCORE", f"asgi:group:{group}", own)
            return score is not None and float(score) > joined + 4
        self.until(renewed, "the membership was renewed after it would have ended", 15)
        self.peer.group_send(group, event(n=1))
        self.assertEqual(self.witness.get(), event(n=1))


class PubsubMalformed(MalformedTests, InteropCase):
    wire = "pubsub"

    def address(self):
        self.topic = f"asgi__group__{self.group()}"
        self.to = {}

    @staticmethod
    def prefix():
        return b""

    @staticmethod
    def message(content):
        return msgpack.packb(content)

    def put(self, *payloads):
        """Publishes to the witness' group; somebody must have heard it."""
        with self.redis.connect(30) as connection:
            for one in payloads:
                connection.send("PUBLISH", self.topic, one)
            for _ in payloads:
                self.assertGreaterEqual(connection.read(), 1)

    def test_16_a_message_above_the_limit(self):
        self.assert_dropped("too_large", self.message({"type": "x.y", "text": "x" * LARGE_BYTES}))

    def test_16_a_message_of_100_megabytes(self):
        """Redis itself drops a subscriber that so much waits for; the node comes back and tells the gap."""
        self.put(self.message({"type": "x.y", "text": "x" * HUGE_BYTES}))
        self.assertEqual(self.witness.next_json(30), {"event": {"type": "layer.gap"}})
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(self.witness, event("probe.marker"))
