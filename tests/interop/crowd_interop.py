"""Two nodes of Carillon with 2,000 sockets each and 10 publishers on both: per publisher and group the order is kept,
nothing is lost, nothing comes twice. On both wires."""

import concurrent.futures
import resource
import time

from crowd import Crowd
from interop_case import InteropCase, event
from judge import faults

GROUPS = [f"room.{number}" for number in range(20)]
SOCKETS_OF_GROUP = 100  # at each node
PUBLISHERS, MESSAGES = 10, 10
FILES = 6000
MARKER = b'"probe.marker"'


class CoreCrowd(InteropCase):
    nodes = 2
    with_daphne = with_peer = False

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < FILES:  # the nodes inherit it
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
            cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        super().setUpClass()

    def publish(self, number):
        """One publisher's whole stream to all groups, from the node of its number."""
        order = {"groups": GROUPS, "publisher": f"p{number}", "first": 0, "count": MESSAGES}
        return self.carillons[number % 2].order("/layer/stream", order, 90)

    def test_two_nodes_with_two_thousand_sockets_each_and_ten_publishers(self):
        crowd = self.for_test(Crowd())
        begun = time.monotonic()
        for node in self.carillons:
            for group in GROUPS:
                crowd.join(node.port, group, SOCKETS_OF_GROUP)
        joined = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(PUBLISHERS) as pool:
            told = [pool.submit(self.publish, number) for number in range(PUBLISHERS)]
            self.assertTrue(crowd.pump(lambda: all(one.done() for one in told), 80), "the publishers are done")
        for one in told:
            got = one.result()
            self.assertEqual((got["confirmed"], got["failed"], got["full"]), (MESSAGES * len(GROUPS), [], 0))
        for group in GROUPS:
            self.carillon.group_send(group, event("probe.marker"))
        self.assertTrue(crowd.pump(lambda: crowd.all_have(MARKER), 40), "every socket got the last event")
        sent = time.monotonic()
        self.assert_complete(crowd)
        print(f"{len(crowd.members)} sockets joined in {joined - begun:.1f} s, "
              f"{len(crowd.members) * PUBLISHERS * MESSAGES} deliveries in {sent - joined:.1f} s", end=" ")

    def assert_complete(self, crowd):
        self.assertEqual(crowd.ended(), 0)
        wanted = list(range(MESSAGES))
        for member in crowd.members:
            got = member.numbers()
            self.assertEqual(len(got), PUBLISHERS)
            for publisher, numbers in got.items():
                self.assertEqual(numbers, wanted, f"{publisher} in {member.group}: {faults(numbers, wanted)}")


class PubsubCrowd(CoreCrowd):
    wire = "pubsub"
