"""Every case of the Autobahn test suite's groups 1 to 7, 9, 10, 12 and 13, as its strict column asks, written anew.

A case is a function that talks to an echoing server through Exchange and raises Mismatch where the server does
something else than expected. cases() yields (number, function). Where Autobahn waits a second for something that must
not come, this suite waits QUIET_SECONDS; what must come is awaited as an event.
"""

import functools
import random
import time

from raw_websocket import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, close_payload, fragments, frame,
                           parse_extension)
from utf8_sequences import GROUPS, KOSME, is_valid

QUIET_SECONDS = 0.2
FAIL_FAST_SECONDS = 1
END_SECONDS = 2
HELLO = b"Hello, world!"
KIB, MIB = 1024, 1024 * 1024
NORMAL, PROTOCOL_ERROR, INVALID_PAYLOAD = 1000, 1002, 1007


class Mismatch(Exception):
    """What was expected, and what came."""


class Settings:
    """`messages` is the number of messages of the cases that send many; `octets` bounds what one such case carries."""

    def __init__(self, address, path, messages=1000, octets=4 * MIB, quick=False, allow_drop=False):
        self.address, self.path, self.messages, self.octets = address, path, messages, octets
        self.quick, self.allow_drop = quick, allow_drop
        self.compressed_answers = 0

    def count_for(self, size):
        return max(8, min(self.messages, self.octets // max(size, 1)))


def brief(event):
    text = repr(event)
    return text if len(text) < 160 else text[:150] + f"… ({len(text)} characters)"


class Exchange(RawWebSocket):
    """One connection of one case, and the expectations on it."""

    def __init__(self, settings, offer=None):
        super().__init__(settings.address, settings.path, offer=offer, timeout=30)
        self.settings = settings

    def frames(self, *parts, chop=0, together=True):
        """Sends frames: as one piece, each by itself, or `chop` octets at a time."""
        if together and not chop:
            self.send(b"".join(parts))
        else:
            for part in parts:
                self.send(part, chop)

    def expect(self, wanted, seconds=10):
        got = self.event(seconds)
        if got != wanted:
            raise Mismatch(f"expected {brief(wanted)}, got {brief(got) if got else f'nothing in {seconds} s'}")

    def expect_message(self, payload, binary=False, seconds=30):
        self.expect(("message", payload, binary), seconds)

    def expect_quiet(self):
        got = self.event(QUIET_SECONDS)
        if got is not None:
            raise Mismatch(f"expected nothing in {QUIET_SECONDS} s, got {brief(got)}")

    def expect_close(self, codes, seconds=END_SECONDS):
        """A close frame with one of the codes (None: with no code), then the end of the stream by the server."""
        got = self.event(seconds)
        if self.settings.allow_drop and got and got[0] == "end":
            return
        wanted = " or ".join(str(code) for code in codes)
        if got is None or got[0] != "close" or got[1] not in codes:
            raise Mismatch(f"expected close {wanted}, got {brief(got) if got else f'nothing in {seconds} s'}")
        got = self.event(END_SECONDS)
        if got is None or got[0] != "end":
            raise Mismatch(f"expected the server to close the socket after close {wanted}, got "
                           f"{brief(got) if got else f'nothing in {END_SECONDS} s'}")

    def expect_failed(self, code, seconds=FAIL_FAST_SECONDS):
        """The server fails the connection by itself, with that code."""
        self.expect_close((code,), seconds)

    def finish(self):
        """The clean close that this side begins: code 1000 both ways, and the server closes the socket."""
        self.send(frame(CLOSE, close_payload(NORMAL)))
        self.expect_close((NORMAL,))


def with_exchange(function):
    """Gives the case a connection of its own."""
    @functools.wraps(function)
    def run(settings, *arguments, **named):
        with Exchange(settings) as x:
            function(x, *arguments, **named)
    return run


@with_exchange
def echoed(x, parts, payload, binary=False, chop=0, together=True, finish=True, seconds=30):
    x.frames(*parts, chop=chop, together=together)
    x.expect_message(payload, binary, seconds)
    if finish:
        x.finish()


@with_exchange
def answered(x, parts, events, chop=0, together=True):
    """These frames, those events in that order, a clean close."""
    x.frames(*parts, chop=chop, together=together)
    for event in events:
        x.expect(event)
    x.finish()


@with_exchange
def failed(x, parts, code, before=(), chop=0, together=True):
    """These frames; the server gives the events of `before` and then fails the connection with that code."""
    x.frames(*parts, chop=chop, together=together)
    for event in before:
        x.expect(event)
    x.expect_failed(code)


# 1: framing

def group_1():
    for group, opcode, octet in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        sizes = [0, 125, 126, 127, 128, 65535, 65536, 65536]
        for number, size in enumerate(sizes, 1):
            payload = octet * size
            yield f"1.{group}.{number}", functools.partial(
                echoed, parts=[frame(opcode, payload)], payload=payload, binary=opcode == BINARY,
                chop=997 if number == 8 else 0)


# 2: pings and pongs

def group_2():
    odd = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
    long = b"\xfe" * 125
    for number, payload in ((1, b""), (2, HELLO), (3, odd), (4, long)):
        yield f"2.{number}", functools.partial(answered, parts=[frame(PING, payload)], events=[("pong", payload)])
    yield "2.5", functools.partial(failed, parts=[frame(PING, b"\xfe" * 126)], code=PROTOCOL_ERROR)
    yield "2.6", functools.partial(answered, parts=[frame(PING, long)], events=[("pong", long)], chop=1)
    unsolicited = b"unsolicited pong payload"
    for number, payload in ((7, b""), (8, unsolicited)):
        yield f"2.{number}", functools.partial(answered, parts=[frame(PONG, payload)], events=[])
    yield "2.9", functools.partial(answered, parts=[frame(PONG, unsolicited), frame(PING, b"ping payload")],
                                   events=[("pong", b"ping payload")])
    payloads = [f"payload-{i}".encode() for i in range(10)]
    for number, chop in ((10, 0), (11, 1)):
        yield f"2.{number}", functools.partial(answered, parts=[frame(PING, p) for p in payloads],
                                               events=[("pong", p) for p in payloads], chop=chop)


# 3 and 4: reserved bits and opcodes

def group_3():
    hello, echo = frame(TEXT, HELLO), [("message", HELLO, False)]
    odd = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
    yield "3.1", functools.partial(failed, parts=[frame(TEXT, HELLO, rsv=1)], code=PROTOCOL_ERROR)
    for number, rsv, chop, together in ((2, 2, 0, True), (3, 3, 0, False), (4, 4, 1, True)):
        yield f"3.{number}", functools.partial(failed, parts=[hello, frame(TEXT, HELLO, rsv=rsv), frame(PING)],
                                               code=PROTOCOL_ERROR, before=echo, chop=chop, together=together)
    for number, part in ((5, frame(BINARY, odd, rsv=5)), (6, frame(PING, HELLO, rsv=6)), (7, frame(CLOSE, rsv=7))):
        yield f"3.{number}", functools.partial(failed, parts=[part], code=PROTOCOL_ERROR)


def group_4():
    hello, echo = frame(TEXT, HELLO), [("message", HELLO, False)]
    for group, first in ((1, 3), (2, 11)):
        bad = [frame(first), frame(first + 1, b"reserved opcode payload"), frame(first + 2), frame(first + 3, HELLO),
               frame(first + 4, HELLO)]
        for number in (1, 2):
            yield f"4.{group}.{number}", functools.partial(failed, parts=[bad[number - 1]], code=PROTOCOL_ERROR)
        for number, chop in ((3, 0), (4, 0), (5, 1)):
            yield f"4.{group}.{number}", functools.partial(
                failed, parts=[hello, bad[number - 1], frame(PING)], code=PROTOCOL_ERROR, before=echo, chop=chop)


# 5: fragmentation

def group_5():
    for number, opcode in ((1, PING), (2, PONG)):
        yield f"5.{number}", functools.partial(
            failed, parts=[frame(opcode, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2")],
            code=PROTOCOL_ERROR)
    first, second = frame(TEXT, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2")
    ping, whole = frame(PING, b"ping payload"), ("message", b"fragment1fragment2", False)
    ways = (dict(), dict(together=False), dict(chop=1))
    for number, way in enumerate(ways, 3):
        yield f"5.{number}", functools.partial(answered, parts=[first, second], events=[whole], **way)
    for number, way in enumerate(ways, 6):
        yield f"5.{number}", functools.partial(answered, parts=[first, ping, second],
                                               events=[("pong", b"ping payload"), whole], **way)
    number = 9
    for fin in (True, False):
        for way in ways:
            stray = frame(CONTINUATION, b"non-continuation payload", fin=fin)
            yield f"5.{number}", functools.partial(failed, parts=[stray, frame(TEXT, HELLO)], code=PROTOCOL_ERROR,
                                                   **way)
            number += 1
    yield "5.15", functools.partial(
        failed, parts=[first, second, frame(CONTINUATION, b"fragment3", fin=False), frame(TEXT, b"fragment4")],
        code=PROTOCOL_ERROR, before=[whole])
    for number, fin in ((16, False), (17, True)):
        parts = [frame(CONTINUATION, b"fragment1", fin=fin), frame(TEXT, b"fragment2", fin=False),
                 frame(CONTINUATION, b"fragment3")] * 2
        yield f"5.{number}", functools.partial(failed, parts=parts, code=PROTOCOL_ERROR)
    yield "5.18", functools.partial(failed, parts=[first, frame(TEXT, b"fragment2")], code=PROTOCOL_ERROR)
    for number, together in ((19, True), (20, False)):
        yield f"5.{number}", functools.partial(pings_between_fragments, together=together)


@with_exchange
def pings_between_fragments(x, together):
    texts = [f"fragment{i}".encode() for i in range(1, 6)]
    x.frames(frame(TEXT, texts[0], fin=False), frame(CONTINUATION, texts[1], fin=False), frame(PING, b"pongme 1!"),
             together=together)
    x.expect(("pong", b"pongme 1!"))  # before the rest of the message is sent
    x.expect_quiet()
    x.frames(frame(CONTINUATION, texts[2], fin=False), frame(CONTINUATION, texts[3], fin=False),
             frame(PING, b"pongme 2!"), frame(CONTINUATION, texts[4]), together=together)
    x.expect(("pong", b"pongme 2!"))
    x.expect_message(b"".join(texts))
    x.finish()


# 6: UTF-8

def group_6():
    yield from group_6_messages()
    for number, parts in enumerate(fail_fast_parts(), 1):
        yield f"6.4.{number}", functools.partial(fails_fast, parts=parts)
    for group, sequences in enumerate(GROUPS, 5):
        for number, octets in enumerate(sequences, 1):
            if is_valid(octets):
                case = functools.partial(echoed, parts=[frame(TEXT, octets)], payload=octets)
            else:
                case = functools.partial(failed, parts=[frame(TEXT, octets)], code=INVALID_PAYLOAD)
            yield f"6.{group}.{number}", case


def group_6_messages():
    empty = [frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION)]
    middle = [empty[0], frame(CONTINUATION, b"middle frame payload", fin=False), empty[2]]
    yield "6.1.1", functools.partial(echoed, parts=[frame(TEXT)], payload=b"")
    yield "6.1.2", functools.partial(echoed, parts=empty, payload=b"")
    yield "6.1.3", functools.partial(echoed, parts=middle, payload=b"middle frame payload")
    one, two = "Hello-µ@ßöä".encode(), "üàá-UTF-8!!".encode()
    yield "6.2.1", functools.partial(echoed, parts=[frame(TEXT, one + two)], payload=one + two)
    yield "6.2.2", functools.partial(echoed, parts=[frame(TEXT, one, fin=False), frame(CONTINUATION, two)],
                                     payload=one + two)
    yield "6.2.3", functools.partial(echoed, parts=fragments(TEXT, one + two, 1), payload=one + two)
    yield "6.2.4", functools.partial(echoed, parts=fragments(TEXT, KOSME, 1), payload=KOSME)
    surrogate = KOSME + b"\xed\xa0\x80edited"
    yield "6.3.1", functools.partial(failed, parts=[frame(TEXT, surrogate)], code=INVALID_PAYLOAD)
    yield "6.3.2", functools.partial(failed, parts=fragments(TEXT, surrogate, 1), code=INVALID_PAYLOAD)


def fail_fast_parts():
    """Three parts each: a valid beginning, what makes it invalid, the rest. As frames, then as pieces of one frame."""
    out_of_range = KOSME + b"\xf4\x90\x80\x80edited"
    for cuts in ((11, 15), (12, 13)):
        a, b, c = out_of_range[:cuts[0]], out_of_range[cuts[0]:cuts[1]], out_of_range[cuts[1]:]
        yield frame(TEXT, a, fin=False), frame(CONTINUATION, b, fin=False), frame(CONTINUATION, c)
    whole = frame(TEXT, out_of_range)
    head = len(whole) - len(out_of_range)
    for cuts in ((11, 15), (12, 13)):
        yield whole[:head + cuts[0]], whole[head + cuts[0]:head + cuts[1]], whole[head + cuts[1]:]


@with_exchange
def fails_fast(x, parts):
    """The server must fail at the octet that makes the text invalid, before the rest is sent."""
    x.send(parts[0])
    x.expect_quiet()
    x.send(parts[1])
    x.expect_failed(INVALID_PAYLOAD)


# 7: closing

def group_7():
    yield "7.1.1", functools.partial(echoed, parts=[frame(TEXT, b"Hello World!")], payload=b"Hello World!")
    normal = frame(CLOSE, close_payload(NORMAL))
    after = {2: [normal, frame(CLOSE)], 3: [normal, frame(PING)], 4: [normal, frame(TEXT, b"Hello World!")],
             5: [frame(TEXT, b"fragment1", fin=False), normal, frame(CONTINUATION, b"fragment2")]}
    for number, parts in after.items():
        yield f"7.1.{number}", functools.partial(closed, parts=parts, codes=(NORMAL,))
    yield "7.1.6", closed_behind_a_long_message
    reasons = {3: b"", 4: b"Hello World!", 5: b"*" * 123}
    yield "7.3.1", functools.partial(closed, parts=[frame(CLOSE)], codes=(NORMAL, None))
    yield "7.3.2", functools.partial(closed, parts=[frame(CLOSE, b"a")], codes=(PROTOCOL_ERROR,))
    for number, reason in reasons.items():
        yield f"7.3.{number}", functools.partial(closed, parts=[frame(CLOSE, close_payload(NORMAL, reason))],
                                                 codes=(NORMAL,))
    yield "7.3.6", functools.partial(closed, parts=[frame(CLOSE, close_payload(NORMAL, b"*" * 124))],
                                     codes=(PROTOCOL_ERROR,))
    bad_reason = close_payload(NORMAL, KOSME + b"\xed\xa0\x80edited")
    yield "7.5.1", functools.partial(closed, parts=[frame(CLOSE, bad_reason)], codes=(PROTOCOL_ERROR, INVALID_PAYLOAD))
    valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
    invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]
    for number, code in enumerate(valid, 1):
        yield f"7.7.{number}", functools.partial(closed, parts=[frame(CLOSE, close_payload(code))],
                                                 codes=(NORMAL, code))
    for number, code in enumerate(invalid, 1):
        yield f"7.9.{number}", functools.partial(closed, parts=[frame(CLOSE, close_payload(code))],
                                                 codes=(PROTOCOL_ERROR,))
    for number, code in enumerate((5000, 65535), 1):
        yield f"7.13.{number}", functools.partial(closed, parts=[frame(CLOSE, close_payload(code))],
                                                  codes=(NORMAL, code, PROTOCOL_ERROR))


@with_exchange
def closed(x, parts, codes):
    x.frames(*parts)
    x.expect_close(codes)


@with_exchange
def closed_behind_a_long_message(x):
    """Messages, a close and a ping at once: what is echoed before the close is free, that it ends cleanly is not."""
    long = b"BAsd7&jh23" * (256 * KIB // 10 + 1)
    x.frames(frame(TEXT, long[:256 * KIB]), frame(TEXT, b"Hello World!"), frame(CLOSE, close_payload(NORMAL)),
             frame(PING))
    events = [event for event in x.until_end(END_SECONDS * 2) if event is None or event[0] != "message"]
    if [event and event[0] for event in events] != ["close", "end"] or events[0][1] != NORMAL:
        raise Mismatch(f"expected close {NORMAL} and the end, got {brief(events)}")


# 9 and 10: sizes

def patterned(pattern, size):
    return (pattern * (size // len(pattern) + 1))[:size]


@with_exchange
def large(x, opcode, pattern, size, fragment=0, chop=0):
    payload = patterned(pattern, size)
    parts = fragments(opcode, payload, fragment) if fragment else [frame(opcode, payload)]
    x.frames(*parts, chop=chop)
    x.expect_message(payload, opcode == BINARY, seconds=60)
    x.finish()


@with_exchange
def round_trips(x, opcode, size):
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    for _ in range(x.settings.messages):
        x.send(frame(opcode, payload))
        x.expect_message(payload, opcode == BINARY)
    x.finish()


def group_9():
    for group, opcode, pattern in ((1, TEXT, b"BAsd7&jh23"), (2, BINARY, b"\x00\xfe\x23\xfa\xf0")):
        for number, size in enumerate((64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB), 1):
            yield f"9.{group}.{number}", functools.partial(large, opcode=opcode, pattern=pattern, size=size)
    for group, opcode, pattern in ((3, TEXT, b"*"), (4, BINARY, b"\xfe")):
        for number in range(1, 10):
            yield f"9.{group}.{number}", functools.partial(large, opcode=opcode, pattern=pattern, size=4 * MIB,
                                                           fragment=64 * 4 ** (number - 1))
    for group, opcode, pattern in ((5, TEXT, b"BAsd7&jh23"), (6, BINARY, b"\x00\xfe\x23\xfa\xf0")):
        for number in range(1, 7):
            yield f"9.{group}.{number}", functools.partial(large, opcode=opcode, pattern=pattern, size=MIB,
                                                           chop=64 << (number - 1))
    for group, opcode in ((7, TEXT), (8, BINARY)):
        for number, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
            yield f"9.{group}.{number}", functools.partial(round_trips, opcode=opcode, size=size)


def group_10():
    yield "10.1.1", functools.partial(echoed, parts=fragments(TEXT, b"*" * 65536, 1300), payload=b"*" * 65536)


# 12 and 13: permessage-deflate

def sample_texts():
    """Five kinds of data in the order of 12.1 to 12.5, made by a fixed seed: (octets or text, is binary)."""
    dice = random.Random(7692)
    words = ["Faust", "Gretchen", "Mephistopheles", "Erdgeist", "grau", "teurer", "Freund", "ist", "alle", "Theorie",
             "und", "grün", "des", "Lebens", "goldner", "Baum", "müßig", "Späße", "naïve", "σοφία"]
    lines = "\n".join(" ".join(dice.choices(words, k=9)) for _ in range(3000))
    rows = ",".join(f'{{"id":{i},"name":"{dice.choice(words)} {dice.choice(words)}","value":{dice.random():.6f}}}'
                    for i in range(2800))
    picture, level = bytearray(), 128
    for _ in range(263222):
        level = max(0, min(255, level + dice.randint(-3, 3)))
        picture.append(level)
    page = "".join(f'<tr class="row"><td>{i}</td><td>{dice.choice(words)}</td></tr>\n' for i in range(4500))
    return [("[" + rows + "]", False), (bytes(picture), True), (lines.encode(), True), (page, False),
            (dice.randbytes(400000) + lines.encode()[:40000], True)]


@functools.lru_cache(1)
def samples():
    return sample_texts()


SIZES = [(16, 0), (64, 0), (256, 0), (1024, 0), (4096, 0), (8192, 0), (16384, 0), (32768, 0), (65536, 0), (131072, 0),
         (8192, 256), (16384, 256), (32768, 256), (65536, 256), (131072, 256), (131072, 1024), (131072, 4096),
         (131072, 32768)]
OURS = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
OFFERS = [{}, {"server_no_context_takeover": ""}, {"server_max_window_bits": "9"}, {"server_max_window_bits": "15"},
          {"server_no_context_takeover": "", "server_max_window_bits": "9"},
          {"server_no_context_takeover": "", "server_max_window_bits": "15"}]
CHOICES = [[offer] for offer in OFFERS] + [[OFFERS[4], OFFERS[1], OFFERS[0]]]


def offer_text(choice):
    return ", ".join("; ".join([OURS] + [name + ("=" + value if value else "") for name, value in offer.items()])
                     for offer in choice)


def check_answer(answer, choice):
    """RFC 7692 section 7.1: the parameters agreed, where they fit one of the offers; else Mismatch."""
    try:
        name, got = parse_extension(answer) or (None, {})
    except ValueError as error:
        raise Mismatch(str(error)) from error
    if name != "permessage-deflate":
        raise Mismatch(f"expected permessage-deflate to be agreed, got {answer!r}")
    bits = {key: got[key] for key in ("server_max_window_bits", "client_max_window_bits") if key in got}
    known = {"server_no_context_takeover", "client_no_context_takeover", *bits}
    if set(got) - known or not all(value.isdigit() and 8 <= int(value) <= 15 for value in bits.values()):
        raise Mismatch(f"parameters that no offer allows: {answer!r}")
    if any(got.get(key) for key in ("server_no_context_takeover", "client_no_context_takeover")):
        raise Mismatch(f"a takeover parameter has no value: {answer!r}")
    for offer in choice:
        limit = int(offer.get("server_max_window_bits", 0))
        fits = "server_no_context_takeover" in got or "server_no_context_takeover" not in offer
        if fits and (not limit or int(got.get("server_max_window_bits", 99)) <= limit):
            return got
    raise Mismatch(f"the answer {answer!r} keeps none of the offers {offer_text(choice)!r}")


def compressed_round_trips(settings, sample, size, fragment, choice, level):
    data, binary = samples()[sample]
    with Exchange(settings, offer=offer_text(choice)) as x:
        parameters = check_answer(x.answer.get("sec-websocket-extensions"), choice)
        if parameters.get("client_max_window_bits") == "8":
            raise Mismatch("a window of 8 bits was asked of the client, which zlib cannot make")
        x.use_deflate(parameters, level)
        opcode, at = BINARY if binary else TEXT, 0
        for _ in range(settings.count_for(size)):
            piece = data[at:at + size]
            if len(piece) < size:
                piece += data[:size - len(piece)]
            at = (at + size) % len(data)
            payload = piece if binary else piece.encode()
            packed = x.deflate.compress(payload)
            parts = fragments(opcode, packed, fragment, rsv=4) if fragment else [frame(opcode, packed, rsv=4)]
            x.frames(*parts)
            x.expect_message(payload, binary)
        settings.compressed_answers += x.compressed_messages
        x.finish()


def group_12_and_13(settings):
    sets = [(f"12.{i + 1}", i, CHOICES[0]) for i in range(5)] + [(f"13.{i + 1}", 0, CHOICES[i]) for i in range(7)]
    for prefix, sample, choice in sets:
        for number, (size, fragment) in enumerate(SIZES, 1):
            if not settings.quick or size <= 4096 or number in (10, 15):
                yield f"{prefix}.{number}", functools.partial(
                    compressed_round_trips, sample=sample, size=size, fragment=fragment, choice=choice,
                    level=(1, 6)[number % 2])


def is_quick(number):
    """What --quick keeps of group 9: no more than one megabyte, and not every fragment size."""
    group = number.split(".")
    if group[0] != "9":
        return True
    return {"1": group[2] in "123", "2": group[2] in "123", "3": group[2] in "159", "4": group[2] in "159",
            "5": group[2] in "16", "6": group[2] in "16"}.get(group[1], True)


def cases(settings):
    for group in (group_1, group_2, group_3, group_4, group_5, group_6, group_7, group_9, group_10):
        for number, case in group():
            if not settings.quick or is_quick(number):
                yield number, case
    yield from group_12_and_13(settings)


def run_case(case, settings):
    """None where the case passed, else the text of what came instead; and the seconds it took."""
    begin = time.monotonic()
    try:
        case(settings)
        why = None
    except Mismatch as error:
        why = str(error)
    except (OSError, TimeoutError) as error:
        why = f"{type(error).__name__}: {error}"
    except Exception as error:  # HandshakeRefused, and a defect of the suite itself: both fail the case, aloud
        why = f"{type(error).__name__}: {error}"
    return why, time.monotonic() - begin
