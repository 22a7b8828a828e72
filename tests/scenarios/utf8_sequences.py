"""The octet sequences of Autobahn's cases 6.5 to 6.23, after Markus Kuhn's decoder stress test.

GROUPS is a list whose first item belongs to 6.5; each is a list of octet strings, the first of 6.5 being case 6.5.1.
Whether one is valid is said by Python's own decoder, which follows RFC 3629.
"""

KOSME = "κ\u1f79σμε".encode()  # the accent is the oxia, three octets long


def is_valid(octets):
    try:
        octets.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def first_of_length(total):
    """The smallest code that takes `total` octets in the original scheme of up to six octets."""
    return sequence({1: 0, 2: 0x80, 3: 0x800, 4: 0x10000, 5: 0x200000, 6: 0x4000000}[total], total)


def last_of_length(total):
    return sequence({1: 0x7F, 2: 0x7FF, 3: 0xFFFF, 4: 0x1FFFFF, 5: 0x3FFFFFF, 6: 0x7FFFFFFF}[total], total)


def sequence(code, total):
    """A code written in exactly `total` octets, also where that is too long or out of range."""
    if total == 1:
        return bytes([code])
    tail = []
    for _ in range(total - 1):
        tail.insert(0, 0x80 | code & 0x3F)
        code >>= 6
    lead = (0xFF00 >> total) & 0xFF
    return bytes([lead | code, *tail])


def overlong(code):
    return [sequence(code, total) for total in range(2, 7)]


def lonely_starts(first, last):
    return b"".join(bytes([octet, 0x20]) for octet in range(first, last))


def non_characters():
    found = [b"\xef\xbf\xbe", b"\xef\xbf\xbf"]
    for plane in range(1, 17):
        found += [chr(plane << 16 | low).encode() for low in (0xFFFE, 0xFFFF)]
    return found


def surrogate(code):
    return sequence(code, 3)


INCOMPLETE = ([sequence(0, total)[:-1] for total in range(2, 7)] +
              [last_of_length(total)[:-1] for total in range(2, 7)])
SINGLES = [0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF]

GROUPS = [
    [b"hello$world", "hello¢world".encode(), "hello€world".encode(), "hello\U00024b62world".encode(), KOSME],
    [KOSME[:size] for size in range(1, len(KOSME) + 1)],
    [first_of_length(total) for total in range(1, 5)],
    [first_of_length(total) for total in (5, 6)],
    [last_of_length(1), last_of_length(2), last_of_length(3), b"\xf4\x8f\xbf\xbf"],
    [last_of_length(total) for total in (4, 5, 6)],
    [b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80"],
    [b"\x80", b"\xbf"] + [(b"\x80\xbf" * 3)[:size] for size in range(2, 7)] + [bytes(range(0x80, 0xBF))],
    [lonely_starts(*ends) for ends in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))],
    INCOMPLETE,
    [b"".join(INCOMPLETE)],
    [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    overlong(0x2F),
    [sequence(code, total) for code, total in ((0x7F, 2), (0x7FF, 3), (0xFFFF, 4), (0x1FFFFF, 5), (0x3FFFFFF, 6))],
    overlong(0),
    [surrogate(code) for code in SINGLES],
    [surrogate(high) + surrogate(low) for high in (0xD800, 0xDB7F, 0xDB80, 0xDBFF) for low in (0xDC00, 0xDFFF)],
    non_characters(),
    [chr(code).encode() for code in range(0xFFF9, 0x10000 - 2)] + [b"\xef\xbf\xbe", b"\xef\xbf\xbf"],
]
