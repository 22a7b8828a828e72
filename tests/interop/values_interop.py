"""Scenario 2 and its way back: every message of the vectors file through the real layers of both sides, and what one
side cannot write or read."""

import json
import time

from interop_case import KEYS, InteropCase, event, process_key, vectors
from peers import PeerError

RESERVED = "websocket."


def rows():
    """(name, event) of the vectors. A type of the protocol itself, which Carillon refuses, gives way to x.y."""
    found = vectors()
    for row in [*found["core_layer_message_bytes"]["plain_msgpack"],
                *found["pubsub_layer_message_bytes"]["plain_msgpack"]]:
        content = {name: value for name, value in row["dict"].items() if name != "__asgi_channel__"}
        if content["type"].startswith(RESERVED):
            content["type"] = "x.y"
        yield row["name"], content


class ValueTests:
    def test_02_every_vector_from_python_to_a_socket(self):
        probe = self.probe(self.carillon, self.group())
        for name, content in rows():
            with self.subTest(name):
                self.peer.send(probe.channel, content)
                self.assertEqual(probe.get(), content)
                self.peer.group_send(self.group(), content)
                self.assertEqual(probe.get(), content)

    def test_02_every_vector_from_carillon_to_python(self):
        channel = self.peer.call("new_channel")
        self.peer.call("group_add", group=self.group(), channel=channel)
        for name, content in rows():
            with self.subTest(name):
                self.carillon.send(channel, content)
                self.assertEqual(self.peer.call("receive", channel=channel, seconds=5), content)
                self.carillon.group_send(self.group(), content)
                self.assertEqual(self.peer.call("receive", channel=channel, seconds=5), content)

    def test_02_there_and_back_through_both_sites(self):
        here, there = self.probe(self.carillon), self.probe(self.daphne)
        for name, content in rows():
            with self.subTest(name):
                here.tell("send", channel=there.channel, event=content)
                got = there.get()
                self.assertEqual(got, content)
                there.tell("send", channel=here.channel, event=got)
                self.assertEqual(here.get(), content)


class CoreValues(ValueTests, InteropCase):
    def test_15_integers_beyond_64_bits_are_refused_by_python_and_none_arrives(self):
        probe = self.probe(self.carillon)
        with self.assertRaises(PeerError) as caught:
            self.peer.send(probe.channel, event(n=2 ** 64))
        self.assertEqual(caught.exception.kind, "OverflowError")
        self.peer.send(probe.channel, event(n=2 ** 64 - 1))
        self.assertEqual(probe.get(), event(n=2 ** 64 - 1))

    def test_16_edge_cases_of_decoding_are_taken_or_dropped_as_python_does(self):
        probe = self.probe(self.carillon)
        dropped = self.undecodable()
        refused = 0
        for case in vectors()["decode_edge_cases"]:
            if case["redis_member_hex"] is None:
                continue  # those of encryption: scenario 25
            with self.subTest(case["case"]):
                refused += self.assert_taken_or_dropped(probe, case)
        self.assertEqual(self.undecodable() - dropped, refused)

    def assert_taken_or_dropped(self, probe, case):
        """Puts the case's bytes under the socket's process, addressed where they decode to a map. True if refused."""
        raw = addressed(bytes.fromhex(case["redis_member_hex"]), probe.channel)
        taken = case["expected"] == "accept"  # extension types are not: Carillon refuses them, as its contract says
        self.redis.command("ZADD", process_key(probe.channel), time.time(), raw)
        self.peer.send(probe.channel, event("probe.marker"))
        before = probe.until(event("probe.marker"))
        self.assertEqual([one["type"] for one in before], ["x"] if taken else [], case)
        if taken and isinstance(case["python_result"], dict):
            self.assertEqual(before[0], case["python_result"])
        return not taken

    def undecodable(self):
        return self.carillon.metric("carillon_layer_dropped_total", reason="undecodable")


def addressed(member, channel):
    """The member with one more entry in its map, __asgi_channel__; as it is where it holds no map."""
    head = member[12:13]
    if not head or head[0] & 0xF0 != 0x80:
        return member
    name, value = b"\xb0__asgi_channel__", channel.encode()
    entry = name + b"\xd9" + bytes([len(value)]) + value
    return member[:12] + bytes([head[0] + 1]) + entry + member[13:]


class CoreEncryptedValues(ValueTests, InteropCase):
    keys = KEYS[:1]


class PubsubValues(ValueTests, InteropCase):
    wire = "pubsub"


class JsonValues(InteropCase):
    """Scenario 26. channels_redis 4.0.0 has no JSON serializer: two nodes among themselves, and the bytes that 4.3.0
    was seen to write."""

    nodes = 2
    with_daphne = with_peer = False
    carillon_options = ("--channel-serializer", "json")

    def test_26_json_messages_pass_between_nodes_and_bytes_are_refused(self):
        group = self.group()
        probes = [self.probe(node, group) for node in self.carillons]
        for name, content in rows():
            with self.subTest(name):
                if "__bytes_hex__" in json.dumps(content):
                    self.assert_refused("invalid", self.carillon.group_send, group, content)
                else:
                    self.carillon.group_send(group, content)
                    self.assert_all_get(probes, content)

    def test_26_the_bytes_of_the_python_serializer_are_read(self):
        probe = self.probe(self.carillon)
        for row in vectors()["core_layer_message_bytes"]["json_serializer_newest_only"]["with_default_12_byte_prefix"]:
            text = {**row["dict"], "__asgi_channel__": probe.channel}
            member = bytes.fromhex(row["redis_member_hex"])[:12] + json.dumps(text).encode()
            self.redis.command("ZADD", process_key(probe.channel), time.time(), member)
            wanted = {name: value for name, value in row["dict"].items() if name != "__asgi_channel__"}
            self.assertEqual(probe.get(), wanted)
