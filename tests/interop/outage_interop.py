"""Redis goes away and comes back: scenarios 19 and 22, a pause, a cut network and a flood, all under load. Sockets
stay, what was lost is told to the sender and counted, nothing that was accepted after the recovery is lost."""

import concurrent.futures
import os
import time
import unittest

import msgpack

from crowd import Crowd
from interop_case import InteropCase, event, process_key
from judge import faults
from peers import CarillonSite, PythonPeer
from severed_network import severable

SOCKETS = 50
DROPPED = "carillon_layer_dropped_total"
MARKER = b'"probe.marker"'
OUTAGE_SECONDS, PAUSE_SECONDS, CUT_SECONDS = 10, 20, 12
BACK_SECONDS = 3  # half a second to connect and one to settle, and as much again on a slow machine
STREAM, KILLS = 10_000, 20
PART = STREAM // KILLS
FLOOD, FLOODERS = 10_000, 4
AFTER, OVER = 500, 300
LOST_MAX = 50  # what lay in Redis when it was killed, or in a reply that was cut
GROWTH_BYTES_MAX = 64 << 20


def events_of(member):
    """How many events of streams a socket has got."""
    return member.data.count(b'"probe.event"')


class OutageCase(InteropCase):
    """Two nodes: the sockets are at one, streams come from the other and from Python."""

    nodes = 2
    with_daphne = False

    def setUp(self):
        self.pool = self.for_test(concurrent.futures.ThreadPoolExecutor(4))
        self.crowd = self.for_test(Crowd())
        self.near, self.far = self.carillons
        self.crowd.join(self.near.port, self.group(), SOCKETS)
        self.refused_markers = 0

    def stream(self, publisher, count, first=0, batch=1, pause_ms=0):
        """Starts a stream of the far node, `batch` events every `pause_ms`; the future of what became of it."""
        order = {"groups": [self.group()], "publisher": publisher, "first": first, "count": count, "batch": batch,
                 "pause_ms": pause_ms}
        return self.pool.submit(self.far.order, "/layer/stream", order, 120)

    def pump(self, enough, seconds, what):
        self.assertTrue(self.crowd.pump(enough, seconds), f"not within {seconds} s: {what}")

    def received(self, publisher):
        """What the first socket got of a publisher; all sockets have the same."""
        every = [member.numbers()[publisher] for member in self.crowd.members]
        lengths = {len(numbers) for numbers in every}
        self.assertTrue(all(numbers == every[0] for numbers in every), f"different counts, or orders: {lengths}")
        return every[0]

    def stream_with_cuts(self, publisher, times):
        """Streams in as many parts; cuts all connections to Redis in the middle of each. The outcomes of the parts."""
        member, told, in_the_middle = self.crowd.members[0], [], 0
        for number in range(times):
            wanted = events_of(member) + PART // 5
            told.append(self.stream(publisher, PART, number * PART, batch=5, pause_ms=5))
            self.pump(lambda: events_of(member) >= wanted, 20, "events before the cut")
            self.redis.cut_connections()
            in_the_middle += not told[-1].done()
            self.pump(lambda: member.gaps() > number and told[-1].done(), 30, f"gap {number} is told")
        self.assertEqual(member.gaps(), times)
        self.assertGreater(in_the_middle, times // 2, "on a busy machine a part may end before its cut")
        return told

    def assert_flows(self, seconds, since):
        """A message of the far node arrives at every socket, at most so long after `since`."""
        def arrived():
            self.far_sends_marker()
            return self.crowd.all_have(MARKER)
        self.pump(arrived, 30, "a message arrives again")
        took = time.monotonic() - since
        print(f"flowed {took:.1f} s after", end=" ")
        self.assertLess(took, seconds)

    def far_sends_marker(self):
        try:
            self.far.group_send(self.group(), event("probe.marker"))
        except Exception as why:  # the far node has not noticed yet that Redis is back
            self.assertEqual(getattr(why, "code", why), "unavailable")
            self.refused_markers += 1

    def assert_nothing_is_lost_now(self):
        publisher = "afterwards"
        told = self.stream(publisher, AFTER)
        self.pump(told.done, 60, "a stream after the recovery")
        self.assertEqual(told.result()["confirmed"], AFTER)
        self.pump(lambda: all(len(member.numbers()[publisher]) >= AFTER for member in self.crowd.members), 20,
                  "all of it arrives")
        self.assertEqual(self.received(publisher), list(range(AFTER)))

    def assert_sockets_stayed_and_heard(self):
        self.assertEqual(self.crowd.ended(), 0)
        self.assertGreaterEqual(min(member.gaps() for member in self.crowd.members), 1, "each socket is told the gap")

    def assert_told_and_counted(self, publisher, told, dropped_before):
        """Nothing twice, in order; what is missing was told to its sender, but for what Redis took with it. Nothing was
        sent before the other node was back: none of it went to no queue."""
        got, results = self.received(publisher), [part.result() for part in told]
        self.assertTrue(all(part["all_told"] for part in results))
        failed = {number for part in results for _, number, _ in part["failed"]}
        sent = range(sum(part["confirmed"] for part in results) + len(failed))
        wrong = faults(got, sent)
        self.assertEqual((wrong["twice"], wrong["strange"], wrong["out_of_order"]), (0, 0, False), wrong)
        silent = set(sent) - set(got) - failed
        to_nobody = sum(part["confirmed"] - part["queues"] for part in results)
        print(f"{len(got)} arrived, {len(failed)} refused, {to_nobody} to nobody, {len(silent)} lost", end=" ")
        self.assertEqual(to_nobody, 0)
        self.assertLessEqual(len(silent), LOST_MAX)
        self.assertEqual(self.dropped() - dropped_before, len(failed) + self.refused_markers, "all of it is counted")
        if failed:
            self.assertRegex(self.far.log(), '"events_lost":[1-9]', "and logged")

    def dropped(self):
        """What the far node could not send, or sent without ever hearing of it."""
        return sum(self.far.metric(DROPPED, reason=reason)
                   for reason in ("unavailable", "unconfirmed"))


class Outages(OutageCase):
    def test_19_redis_is_killed_under_load_and_restarted_after_ten_seconds(self):
        before = self.dropped()
        publisher = "through"
        told = self.stream(publisher, 3000, pause_ms=5)
        python = self.peer.begin("stream", group=self.group(), count=1000, publisher="python", interval=0.004)
        self.pump(lambda: len(self.crowd.members[0].numbers()[publisher]) > 200, 20, "the stream runs")
        self.redis.kill()
        self.crowd.pump(lambda: False, OUTAGE_SECONDS)
        self.assertEqual(self.crowd.ended(), 0)
        self.assertEqual(self.near.request("GET", "/readyz")[0], 503)
        self.redis.start()
        self.assert_flows(BACK_SECONDS, time.monotonic())
        self.assertTrue(self.members(self.group()), "the membership is in Redis again")
        self.pump(lambda: told.done() and python.done(), 60, "the streams end")
        self.assert_sockets_stayed_and_heard()
        self.assert_told_and_counted("through", [told], before)
        self.assertFalse(faults(self.received("python"), range(1000))["twice"])
        self.assert_nothing_is_lost_now()
        self.assertEqual(self.near.request("GET", "/readyz")[0], 200)

    def test_redis_is_paused_for_twenty_seconds_under_load(self):
        before = self.dropped()
        publisher = "through"
        told = self.stream(publisher, 4000, pause_ms=6)
        self.pump(lambda: len(self.crowd.members[0].numbers()[publisher]) > 200, 20, "the stream runs")
        self.redis.pause()
        self.crowd.pump(lambda: False, PAUSE_SECONDS)
        self.redis.resume()
        self.assert_flows(2 * BACK_SECONDS, time.monotonic())
        self.pump(told.done, 60, "the stream ends")
        self.assert_sockets_stayed_and_heard()
        self.assert_told_and_counted("through", [told], before)
        self.assert_nothing_is_lost_now()

    def test_22_connections_are_killed_twenty_times_in_a_stream_of_ten_thousand(self):
        before = self.dropped()
        told = self.stream_with_cuts("through", KILLS)
        self.assert_flows(20, time.monotonic())
        self.assert_sockets_stayed_and_heard()
        self.assert_told_and_counted("through", told, before)
        self.assert_nothing_is_lost_now()

    def test_a_flood_of_python_is_delivered_or_counted_by_its_senders(self):
        peers = [self.for_test(PythonPeer(self.django_layer())) for _ in range(FLOODERS)]
        memory = self.near.memory_bytes()
        begun = time.monotonic()
        told = [peer.begin("stream", group=self.group(), count=FLOOD // FLOODERS, publisher=f"flood{number}")
                for number, peer in enumerate(peers)]
        self.pump(lambda: all(one.done() for one in told), 60, "the flood ends")
        took = time.monotonic() - begun
        self.peer.group_send(self.group(), event("probe.marker"))
        self.pump(lambda: self.crowd.all_have(MARKER), 20, "the last message arrives")
        refused = sum(one.result()["over_capacity"] for one in told)
        arrived = 0
        for number in range(FLOODERS):
            got = self.received(f"flood{number}")
            self.assertEqual((faults(got, range(FLOOD))["twice"], got), (0, sorted(got)))
            arrived += len(got)
        print(f"{FLOOD} in {took:.1f} s: {arrived} arrived, {refused} over capacity", end=" ")
        self.assertEqual(arrived + refused, FLOOD)
        self.assertLess(self.near.memory_peak_bytes() - memory, GROWTH_BYTES_MAX)

    def test_a_flood_of_ten_thousand_in_one_second_arrives_whole(self):
        """Written as a sender without capacity would: one pipeline, at once."""
        [own] = self.members(self.group())
        memory = self.near.memory_bytes()
        with self.redis.connect(30) as connection:
            begun = time.monotonic()
            for n in range(FLOOD):
                message = {"type": "probe.event", "publisher": "pipeline", "n": n, "__asgi_channel__": [own]}
                connection.send("ZADD", process_key(own), time.time(), os.urandom(12) + msgpack.packb(message))
            for _ in range(FLOOD):
                connection.read()
            took = time.monotonic() - begun
        self.pump(lambda: all(events_of(member) >= FLOOD for member in self.crowd.members), 30, "all of it arrives")
        print(f"{FLOOD} in {took:.1f} s", end=" ")
        self.assertEqual(self.received("pipeline"), list(range(FLOOD)))
        self.assertLess(self.near.memory_peak_bytes() - memory, GROWTH_BYTES_MAX)

    def test_13_a_node_that_stands_still_costs_its_senders_what_their_capacity_says(self):
        """Python's senders go by their capacity of 100, Carillon's by the 10,000 that they know a node to take."""
        [own] = self.members(self.group())
        for publisher, capacity, order in (("python", 100, self.python_stream), ("carillon", 10_000, self.own_stream)):
            with self.subTest(publisher):
                self.near.pause()
                try:
                    full = order(publisher, capacity + OVER)
                    self.assertEqual(self.waiting(process_key(own)), capacity)
                finally:
                    self.near.resume()
                self.assertIn(full, (OVER - 1, OVER), "one may have gone to a node that had asked for it")
                self.until(lambda: not self.waiting(process_key(own)), "the node has taken all of them")
                self.peer.group_send(self.group(), event("probe.marker", after=publisher))
                last = b'"after":"%s"' % publisher.encode()
                self.pump(lambda: self.crowd.all_have(last), 30, "what had room arrives")
                self.assertEqual(self.received(publisher), list(range(capacity + OVER - full)))

    def python_stream(self, publisher, count):
        """How many of them Python's layer found no room for."""
        return self.peer.call("stream", group=self.group(), count=count, publisher=publisher, wait=60)["over_capacity"]

    def own_stream(self, publisher, count):
        return self.stream(publisher, count).result(60)["full"]


class PubsubOutages(OutageCase):
    wire = "pubsub"

    def test_a_flood_of_ten_thousand_in_one_second_arrives_or_is_counted(self):
        """There is no queue that could be full: what the node cannot hold it drops, newest first, and counts."""
        memory = self.near.memory_bytes()
        with self.redis.connect(30) as connection:
            for n in range(FLOOD):
                message = {"type": "probe.event", "publisher": "pipeline", "n": n}
                connection.send("PUBLISH", f"asgi__group__{self.group()}", msgpack.packb(message))
            for _ in range(FLOOD):
                connection.read()

        def whole():
            dropped = self.near.metric(DROPPED, reason="backlog")
            return all(events_of(member) + dropped >= FLOOD for member in self.crowd.members)
        self.pump(whole, 30, "all of it has arrived or was counted")
        arrived = self.received("pipeline")
        print(f"{len(arrived)} of {FLOOD} arrived", end=" ")
        self.assertEqual(len(arrived) + self.near.metric(DROPPED, reason="backlog"), FLOOD)
        self.assertEqual((faults(arrived, range(FLOOD))["twice"], arrived), (0, sorted(arrived)))
        self.assertLess(self.near.memory_peak_bytes() - memory, GROWTH_BYTES_MAX)

    def test_32_redis_is_killed_under_load_and_restarted(self):
        before = self.dropped()
        publisher = "through"
        told = self.stream(publisher, 1500, pause_ms=4)
        self.pump(lambda: len(self.crowd.members[0].numbers()[publisher]) > 100, 20, "the stream runs")
        self.redis.restart("kill")
        self.assert_flows(BACK_SECONDS, time.monotonic())
        self.pump(told.done, 60, "the stream ends")
        self.assert_sockets_stayed_and_heard()
        self.assert_told_and_counted("through", [told], before)
        self.assert_nothing_is_lost_now()

    def test_32_connections_are_killed_ten_times(self):
        before = self.dropped()
        told = self.stream_with_cuts("through", KILLS // 2)
        self.assert_flows(20, time.monotonic())
        self.assert_sockets_stayed_and_heard()
        self.assert_told_and_counted("through", told, before)
        self.assert_nothing_is_lost_now()


class CutNetwork(unittest.TestCase):
    """One node loses Redis without a word; the other does not."""

    def test_a_node_behind_a_cut_network_keeps_its_sockets_and_comes_back(self):
        network = self.enterContext(severable())
        layer = ["--workers", "0", "--threads", "2", "--channel-layer"]
        away = self.enterContext(NodeBehind(network, *layer, network.url))
        other = self.enterContext(CarillonSite(*layer, network.redis.url()))
        here, there = self.enterContext(away.probe("cut")), self.enterContext(other.probe("cut"))
        self.assert_both_get(other, (here, there), event(n=1))
        network.cut()
        begun = time.monotonic()
        while time.monotonic() < begun + CUT_SECONDS:  # the other node works on
            other.group_send("cut", event(n=2))
            self.assertEqual(there.get(), event(n=2))
            self.assertIsNone(here.event(0.5), "a socket behind the cut hears nothing, and stays")
        with self.assertRaises(Exception) as caught:
            away.group_send("cut", event(n=3))
        self.assertEqual(getattr(caught.exception, "code", caught.exception), "unavailable")
        network.mend()
        self.assertEqual(here.next_json(40), {"event": {"type": "layer.gap"}})
        other.group_send("cut", event("probe.marker"))
        here.until(event("probe.marker"))  # what waited in Redis comes first
        there.until(event("probe.marker"))
        for number, node in enumerate((away, other)):
            self.assert_both_get(node, (here, there), event(n=10 + number))

    def assert_both_get(self, sender, probes, wanted):
        sender.group_send("cut", wanted)
        for probe in probes:
            self.assertEqual(probe.get(), wanted)


class NodeBehind(CarillonSite):
    """A node in a namespace, reached over a unix socket, which no cut concerns."""

    def __init__(self, network, *options):
        super().__init__(*options)
        self.prefix = network.node_prefix
        self.unix_socket = self.folder / "http.sock"

    def arguments(self):
        words = super().arguments()
        words[words.index("--bind") + 1] = f"unix:{self.unix_socket}"
        return self.prefix + words
