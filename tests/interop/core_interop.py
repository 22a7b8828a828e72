"""Core layer (channels_redis.core) and Carillon on the same Redis: scenarios 1 to 15 and 23, plain and encrypted, on
one host and on three. Tests carry the number of their scenario."""

import time

from interop_case import BYTES, KEYS, PROCESS_ID, InteropCase, event, process_key
from monitor import Monitor
from peers import PeerError

REACTION_SECONDS = 0.1
CAPACITY = 100


class CoreTests:
    """What holds in every arrangement of the core layer."""

    def test_01_a_group_message_of_python_reaches_a_socket_within_100_ms(self):
        probe = self.probe(self.carillon, "room.1")
        took = []
        for number in range(5):
            wanted = event("chat.message", text=f"hi {number}")
            begun = time.monotonic()
            self.peer.group_send("room.1", wanted)
            self.assertEqual(probe.get(), wanted)
            took.append(time.monotonic() - begun)
        self.assertLess(min(took), REACTION_SECONDS)

    def test_03_three_sockets_of_a_process_cost_one_element(self):
        group = self.group()
        probes = [self.probe(self.carillon, group) for _ in range(3)]
        with_key = process_key(probes[0].channel)
        monitors = [self.for_test(Monitor(server)) for server in self.servers]
        self.peer.group_send(group, event(n=1))
        self.assert_all_get(probes, event(n=1))
        commands = [command for monitor in monitors for command in monitor.commands()]
        added = [command for command in commands if command[:2] == ["ZADD", with_key]]
        self.assertEqual(len(added), 1, commands)
        self.peer.group_send(group, event(n=2))
        self.assert_all_get(probes, event(n=2))

    def test_04_a_direct_message_of_python_reaches_one_socket_alone(self):
        one, other = self.probe(self.carillon), self.probe(self.carillon, self.group())
        self.peer.send(one.channel, event(n=1))
        self.assertEqual(one.get(), event(n=1))
        self.peer.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(other, event("probe.marker"))

    def test_05_python_may_add_a_socket_to_a_group(self):
        probe, group = self.probe(self.carillon), self.group()
        self.peer.call("group_add", group=group, channel=probe.channel)
        self.peer.group_send(group, event(n=1))
        self.assertEqual(probe.get(), event(n=1))
        self.peer.call("group_discard", group=group, channel=probe.channel)
        self.peer.group_send(group, event(n=2))
        self.peer.send(probe.channel, event("probe.marker"))
        self.assert_nothing_before(probe, event("probe.marker"))

    def test_05_a_socket_in_a_group_by_itself_and_by_python_gets_one_copy(self):
        group = self.group()
        probe = self.probe(self.carillon, group)
        self.peer.call("group_add", group=group, channel=probe.channel)
        self.peer.group_send(group, event(n=1))
        self.peer.group_send(group, event("probe.marker"))
        self.assertEqual(probe.until(event("probe.marker")), [event(n=1)])

    def test_06_every_member_of_a_group_on_three_servers_gets_it_once(self):
        group = self.group()
        second = self.node()
        probes = [self.probe(site, group) for site in (self.carillon, second, self.daphne) for _ in range(2)]
        senders = [lambda e: self.peer.group_send(group, e), lambda e: self.carillon.group_send(group, e),
                   lambda e: second.group_send(group, e)]
        for number, send in enumerate(senders):
            send(event(n=number))
            self.assert_all_get(probes, event(n=number))
        self.peer.group_send(group, event("probe.marker"))
        for probe in probes:
            self.assert_nothing_before(probe, event("probe.marker"))

    def test_07_who_leaves_is_named_no_longer(self):
        group = self.group()
        leaving, going = self.probe(self.carillon, group), self.carillon.probe(group)
        node = PROCESS_ID.search(leaving.channel).group()
        self.assertTrue(any(node in member for member in self.members(group)))
        going.close()
        leaving.tell("leave", group=group)
        self.until(lambda: not any(node in member for member in self.members(group)), "no member of the node")
        self.peer.group_send(group, event(n=1))
        self.peer.send(leaving.channel, event("probe.marker"))
        self.assert_nothing_before(leaving, event("probe.marker"))

    def test_09_a_group_message_of_carillon_reaches_consumers_of_django_with_bytes_intact(self):
        group = self.group()
        probe = self.probe(self.daphne, group)
        wanted = event("x.y", b=BYTES, text="häß", big=2 ** 64 - 1)
        self.assertEqual(self.carillon.group_send(group, wanted), {"queues": 1, "full": 0})
        self.assertEqual(probe.get(), wanted)

    def test_10_a_direct_message_of_carillon_reaches_one_consumer_of_django(self):
        one, other = self.probe(self.daphne), self.probe(self.daphne, self.group())
        self.carillon.send(one.channel, event(n=1))
        self.assertEqual(one.get(), event(n=1))
        self.carillon.group_send(self.group(), event("probe.marker"))
        self.assert_nothing_before(other, event("probe.marker"))

    def test_11_runworker_handles_a_job_of_carillon_once(self):
        results = self.probe(self.carillon, "job_results")
        worker = self.runworker("jobs")
        for number in range(6):  # as hosts are taken in turn, each gets two
            self.carillon.send("jobs", event("job.run", id=number))
        wanted = [event(id=number, by="python", pid=worker.child.pid) for number in range(6)]
        got = [results.get() for _ in wanted]
        self.assertEqual(sorted(got, key=lambda one: one["id"]), wanted)
        self.peer.group_send("job_results", event("probe.marker"))
        self.assert_nothing_before(results, event("probe.marker"))

    def test_12_the_message_above_capacity_is_refused_and_not_stored(self):
        channel = self.peer.call("new_channel")
        for number in range(CAPACITY):
            self.carillon.send(channel, event(n=number))
        self.assert_refused("channel_full", self.carillon.send, channel, event(n=CAPACITY))
        self.assertEqual(self.waiting(process_key(channel)), CAPACITY)
        if self.hosts == 1:  # with more, channels_redis writes to another host than the one it reads
            with self.assertRaises(PeerError) as caught:
                self.peer.send(channel, event(n=CAPACITY))
            self.assertEqual(caught.exception.kind, "ChannelFull")
        for number in range(CAPACITY):
            self.assertEqual(self.peer.call("receive", channel=channel, seconds=5), event(n=number))

    def test_13_one_full_queue_of_two_is_told_and_the_other_gets_the_message(self):
        full, group = "full.channel", self.group()
        probe = self.probe(self.daphne, group)
        self.peer.call("group_add", group=group, channel=full)
        for number in range(CAPACITY):
            self.carillon.group_send(group, event(n=number))
            self.assertEqual(probe.get(), event(n=number))
        self.assertEqual(self.carillon.group_send(group, event(n=CAPACITY)), {"queues": 2, "full": 1})
        self.assertEqual(probe.get(), event(n=CAPACITY))
        self.assertEqual(self.waiting("asgi" + full), CAPACITY)

    def test_14_everything_that_carillon_writes_expires(self):
        channel, group = self.peer.call("new_channel"), self.group()
        self.probe(self.carillon, group)
        self.carillon.send(channel, event(n=1))
        self.assert_expires(process_key(channel), 60)
        self.assert_expires(f"asgi:group:{group}", 86400)
        self.carillon.order("/layer/group_add", {"group": group + ".b", "channel": channel})
        self.until(lambda: self.members(group + ".b"), "the membership is in Redis")
        self.assert_expires(f"asgi:group:{group}.b", 86400)
        self.carillon.group_send(group + ".b", event(n=2))
        self.assert_expires(process_key(channel), 60)
        self.carillon.send("unread.channel", event(n=3))
        self.assert_expires("asgiunread.channel", 60)

    def assert_expires(self, key, seconds):
        left = [ttl for ttl in self.anywhere("TTL", key) if ttl != -2]
        self.assertTrue(left and all(0 < ttl <= seconds for ttl in left), f"{key}: {left}")

    def test_15_what_the_layer_cannot_carry_is_refused_and_nothing_reaches_redis(self):
        group = self.group()
        self.probe(self.daphne, group)
        monitors = [self.for_test(Monitor(server)) for server in self.servers]
        for wrong in ({"type": "websocket.receive", "text": "{}"}, {"type": "_private"}, {"type": "http.request"},
                      {"type": "x.y", "__asgi_channel__": "a"}):
            self.assert_refused("invalid", self.carillon.group_send, group, wrong)
        self.assert_refused("invalid", self.carillon.group_send, "no such/name", event(n=1))
        self.assert_refused("invalid", self.carillon.send, "no such/name", event(n=1))
        commands = [command for monitor in monitors for command in monitor.commands()]
        self.assertFalse([command for command in commands if group in str(command) or "no such" in str(command)])

    def test_both_at_once_a_page_at_each_server_hears_the_page_at_the_other(self):
        here, there = self.carillon.socket("/ws/ward/7/"), self.daphne.socket("/ws/ward/7/")
        boards = [site.socket("/ws/dashboard/ward_management/") for site in (self.carillon, self.daphne)]
        for one in (here, there, *boards):
            self.for_test(one)
        for number, sender in enumerate((here, there)):
            sender.send_json({"action": "set_bed", "bed_id": number, "status": "occupied"})
            wanted = {"type": "bed_status_change", "data": {"bed_id": number, "status": "occupied"}}
            self.assertEqual([one.next_json() for one in (here, there)], [wanted] * 2)
            self.assertEqual([board.next_json() for board in boards], [{"last_bed": number}] * 2)


class CorePlain(CoreTests, InteropCase):
    pass


class CoreEncrypted(CoreTests, InteropCase):
    keys = KEYS[:1]

    def test_23_in_redis_lie_random_bytes_and_base64_alone(self):
        channel = self.peer.call("new_channel")
        self.carillon.send(channel, event(n=1))
        [members] = self.anywhere("ZRANGE", process_key(channel), 0, -1)
        self.assertTrue(members)
        for one in members:
            self.assertRegex(one[12:], rb"^gAAAAA[A-Za-z0-9_-]+=*$")
        self.assertEqual(self.peer.call("receive", channel=channel, seconds=5), event(n=1))


class CoreThreeHosts(CoreTests, InteropCase):
    hosts = 3


class CoreEncryptedThreeHosts(CoreTests, InteropCase):
    hosts, keys = 3, KEYS[:1]
