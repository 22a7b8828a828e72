"""Pub/Sub layer (channels_redis.pubsub) and Carillon on the same Redis: scenarios 29 to 32, and those of the core layer
that hold here too, on one host and on three.

channels_redis 4.0.0 takes encryption keys for this layer and does not encrypt, so the encrypted arrangement is
Carillon's two nodes among themselves."""

import select

from interop_case import BYTES, KEYS, PROCESS_ID, SOON, InteropCase, event

ANY_TEXT = "room:1/any text"


class PubsubTests:
    """What holds on one host and on three, with Python on the other side."""

    def test_29_a_group_message_of_python_reaches_a_socket(self):
        probe = self.probe(self.carillon, "room.1")
        wanted = event("chat.message", text="hi", b=BYTES)
        self.peer.group_send("room.1", wanted)
        self.assertEqual(probe.get(), wanted)

    def test_29_a_payload_has_neither_prefix_nor_address(self):
        listeners = [self.for_test(server.connect()) for server in self.servers]
        for listener in listeners:
            listener.command("SUBSCRIBE", "asgi__group__bare")
        self.carillon.group_send("bare", event("x.y"))
        heard, _, _ = select.select([listener.socket for listener in listeners], [], [], SOON)
        [payload] = [listener.read()[2] for listener in listeners if listener.socket in heard]
        self.assertEqual(payload, bytes.fromhex("81a474797065a3782e79"))

    def test_30_a_group_message_of_carillon_reaches_consumers_of_django(self):
        group = self.group()
        probe = self.probe(self.daphne, group)
        wanted = event("x.y", b=BYTES, text="häß", big=2 ** 64 - 1)
        self.assertGreaterEqual(self.carillon.group_send(group, wanted)["queues"], 1)
        self.assertEqual(probe.get(), wanted)

    def test_31_a_group_may_have_nearly_any_name(self):
        probes = [self.probe(site, ANY_TEXT) for site in (self.carillon, self.daphne)]
        for number, send in enumerate((self.peer.group_send, self.carillon.group_send)):
            send(ANY_TEXT, event(n=number))
            self.assert_all_get(probes, event(n=number))

    def test_32_after_a_cut_one_subscribe_restores_all_names_and_the_gap_is_told(self):
        group = self.group()
        probe, other = self.probe(self.carillon, group), self.probe(self.carillon, group + ".b")
        for server in self.servers:
            server.command("CLIENT", "KILL", "TYPE", "pubsub")
        for one in (probe, other):
            self.assertEqual(one.next_json(), {"event": {"type": "layer.gap"}})
        for name, one in ((group, probe), (group + ".b", other)):
            self.carillon.group_send(name, event(n=1))
            self.assertEqual(one.get(), event(n=1))
        self.peer_hears_again()
        self.peer.group_send(group, event(n=2))
        self.peer.send(other.channel, event(n=3))
        self.assertEqual(probe.get(), event(n=2))
        self.assertEqual(other.get(), event(n=3))

    def peer_hears_again(self):
        """Daphne was cut off too; the next test wants it back."""
        probe = self.probe(self.daphne)

        def back():
            self.peer.send(probe.channel, event("probe.marker"))
            return probe.event(0.2) is not None
        self.until(back, "Daphne has subscribed again")

    def subscribed(self, name):
        return any(answer[1] for answer in self.anywhere("PUBSUB", "NUMSUB", name))

    def test_04_a_direct_message_of_python_reaches_one_socket_alone(self):
        one, other = self.probe(self.carillon), self.probe(self.carillon, self.group())
        self.peer.send(one.channel, event(n=1))
        self.assertEqual(one.get(), event(n=1))
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(other, event("probe.marker"))

    def test_06_every_member_of_a_group_on_three_servers_gets_it_once(self):
        group = self.group()
        second = self.node()
        probes = [self.probe(site, group) for site in (self.carillon, second, self.daphne) for _ in range(2)]
        for number, send in enumerate((self.peer.group_send, self.carillon.group_send, second.group_send)):
            send(group, event(n=number))
            self.assert_all_get(probes, event(n=number))
        self.peer.group_send(group, event("probe.marker"))
        for probe in probes:
            self.assert_nothing_before(probe, event("probe.marker"))

    def test_07_a_group_that_everybody_left_is_subscribed_no_longer(self):
        group = self.group()
        leaving, going = self.probe(self.carillon, group), self.carillon.probe(group)
        self.assertTrue(self.subscribed(f"asgi__group__{group}"))
        going.close()
        leaving.tell("leave", group=group)
        self.until(lambda: not self.subscribed(f"asgi__group__{group}"), "nobody subscribes to the group")

    def test_10_a_direct_message_of_carillon_reaches_one_consumer_of_django(self):
        one, other = self.probe(self.daphne), self.probe(self.daphne, self.group())
        self.carillon.send(one.channel, event(n=1))
        self.assertEqual(one.get(), event(n=1))
        self.carillon.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(other, event("probe.marker"))

    def test_11_runworker_handles_a_job_of_carillon_once(self):
        results = self.probe(self.carillon, "job_results")
        worker = self.runworker("jobs")
        self.until(lambda: self.subscribed("jobs"), "the worker listens")
        for number in range(3):
            self.carillon.send("jobs", event("job.run", id=number))
        for number in range(3):
            self.assertEqual(results.get(), event(id=number, by="python", pid=worker.child.pid))
        self.peer.group_send("job_results", event("probe.marker"))
        self.assert_nothing_before(results, event("probe.marker"))

    def test_17_a_message_that_poses_as_a_client_frame_is_none(self):
        probe = self.probe(self.carillon, self.group())
        self.peer.group_send(self.group(), {"type": "websocket.receive", "text": '{"do": "raise"}'})
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(probe, event("probe.marker"))

    def test_the_names_of_sockets_are_those_of_the_pubsub_layer(self):
        for site in (self.carillon, self.daphne):
            self.assertRegex(self.probe(site).channel, f"^asgi{PROCESS_ID.pattern}$")


class PubsubPlain(PubsubTests, InteropCase):
    wire = "pubsub"


class PubsubThreeHosts(PubsubTests, InteropCase):
    wire, hosts = "pubsub", 3


class PubsubEncrypted(InteropCase):
    """Two nodes of Carillon: the Python side of this release would not encrypt."""

    wire, keys, nodes = "pubsub", KEYS[:1], 2
    with_daphne = with_peer = False

    def test_23_encrypted_messages_pass_between_two_nodes_and_are_unreadable_on_the_way(self):
        group = self.group()
        probes = [self.probe(node, group) for node in self.carillons]
        listener = self.for_test(self.redis.connect())
        listener.command("SUBSCRIBE", f"asgi__group__{group}")
        wanted = event("x.y", b=BYTES)
        self.carillon.group_send(group, wanted)
        self.assert_all_get(probes, wanted)
        self.assertRegex(listener.read()[2], rb"^gAAAAA[A-Za-z0-9_-]+=*$")
        self.carillons[1].send(probes[0].channel, event(n=1))
        self.assertEqual(probes[0].get(), event(n=1))


class PubsubEncryptedThreeHosts(PubsubEncrypted):
    hosts = 3

    def test_23_encrypted_messages_pass_between_two_nodes_and_are_unreadable_on_the_way(self):
        for name in ("a", "b", "c", "d"):
            probes = [self.probe(node, name) for node in self.carillons]
            self.carillons[1].group_send(name, event(n=name))
            self.assert_all_get(probes, event(n=name))
