"""What numbered events tell: which of them a socket got, and how that differs from what was sent."""

import re
from collections import Counter, defaultdict

NUMBERED = re.compile(rb'"publisher": ?"([^"]+)", ?"n": ?(\d+)')


def numbers_of(data):
    """The numbered events in received octets, in their order: {publisher: [n, …]}."""
    found = defaultdict(list)
    for publisher, number in NUMBERED.findall(data):
        found[publisher.decode()].append(int(number))
    return found


def faults(numbers, wanted):
    """How one publisher's received numbers differ from what was sent: lost, twice, never sent, out of order."""
    counted = Counter(numbers)
    return {"lost": len(set(wanted) - set(counted)), "twice": sum(count - 1 for count in counted.values()),
            "strange": len(set(counted) - set(wanted)), "out_of_order": numbers != sorted(numbers)}
