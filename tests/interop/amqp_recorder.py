"""A proxy before RabbitMQ that keeps what its clients publish: properties, headers with their AMQP tags, bodies."""

import dataclasses
import socket
import struct
import threading

METHOD, HEADER, BODY = 1, 2, 3
BASIC_PUBLISH = (60, 40)
PROTOCOL_HEADER_BYTES = 8
PROPERTIES = (("content_type", "s"), ("content_encoding", "s"), ("headers", "F"), ("delivery_mode", "B"),
              ("priority", "B"), ("correlation_id", "s"), ("reply_to", "s"), ("expiration", "s"), ("message_id", "s"),
              ("timestamp", "T"), ("type", "s"), ("user_id", "s"), ("app_id", "s"), ("cluster_id", "s"))
NUMBERS = {"t": "?", "b": "b", "B": "B", "U": "h", "u": "H", "I": "i", "i": "I", "l": "q", "L": "q", "f": "f", "d": "d",
           "T": "Q"}


@dataclasses.dataclass
class Published:
    """One message as it was written."""

    exchange: str
    routing_key: str
    properties: dict  # without the headers
    headers: dict
    tags: dict  # of the headers: a letter; of an array a list of tags, of a table a dictionary
    body: bytes


class Reader:
    """Reads AMQP's fields one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count):
        found = self.data[self.at:self.at + count]
        if len(found) != count:
            raise ValueError("the data ends early")
        self.at += count
        return found

    def number(self, kind):
        return struct.unpack(f"!{kind}", self.bytes(struct.calcsize(f"!{kind}")))[0]

    def short_text(self):
        return self.bytes(self.number("B")).decode()

    def field(self, tag):
        """(value, tags)"""
        if tag == "S":
            return self.bytes(self.number("I")).decode(), tag
        if tag == "V":
            return None, tag
        if tag == "F":
            return self.table()
        if tag == "A":
            inner = Reader(self.bytes(self.number("I")))
            items = []
            while inner.at < len(inner.data):
                items.append(inner.field(inner.bytes(1).decode()))
            return [value for value, _ in items], [tags for _, tags in items]
        return self.number(NUMBERS[tag]), tag

    def table(self):
        inner = Reader(self.bytes(self.number("I")))
        values, tags = {}, {}
        while inner.at < len(inner.data):
            name = inner.short_text()
            values[name], tags[name] = inner.field(inner.bytes(1).decode())
        return values, tags

    def properties(self):
        """(properties, headers, tags of the headers)"""
        flags, found, headers, tags = self.number("H"), {}, {}, {}
        for bit, (name, kind) in enumerate(PROPERTIES):
            if flags & 1 << 15 - bit:
                if kind == "F":
                    headers, tags = self.table()
                else:
                    found[name] = self.short_text() if kind == "s" else self.number(NUMBERS[kind])
        return found, headers, tags


def frames_of(stream):
    """(type, channel, payload) of every whole frame that a client wrote."""
    at = PROTOCOL_HEADER_BYTES
    while len(stream) >= at + 7:
        kind, channel, size = struct.unpack("!BHI", stream[at:at + 7])
        if len(stream) < at + 7 + size + 1:
            return
        if stream[at + 7 + size] != 0xCE:
            raise ValueError("a frame does not end where it should")
        yield kind, channel, stream[at + 7:at + 7 + size]
        at += 7 + size + 1


def messages_of(stream):
    """Every whole message of a client's connection."""
    begun = {}  # by channel: [exchange, routing key, properties, size, body]
    for kind, channel, payload in frames_of(stream):
        reader = Reader(payload)
        if kind == METHOD and (reader.number("H"), reader.number("H")) == BASIC_PUBLISH:
            reader.number("H")
            begun[channel] = [reader.short_text(), reader.short_text(), None, 0, b""]
        elif kind == HEADER and channel in begun:
            reader.number("I")
            begun[channel][3] = reader.number("Q")
            begun[channel][2] = reader.properties()
        elif kind == BODY and channel in begun:
            begun[channel][4] += payload
        if channel in begun and begun[channel][2] and len(begun[channel][4]) == begun[channel][3]:
            exchange, key, properties, _, body = begun.pop(channel)
            yield Published(exchange, key, *properties, body)


class AmqpRecorder:
    """Listens on a port of its own and passes everything on. Use it in a `with` statement."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.streams, self.sockets = [], []
        self.guard = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.guard:
            everything = [self.listener, *self.sockets]
        for one in everything:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # its peer was faster
            one.close()

    def url(self):
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            stream = bytearray()
            with self.guard:
                self.streams.append(stream)
                self.sockets += [client, server]
            threading.Thread(target=self.pass_on, args=(client, server, stream), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, None), daemon=True).start()

    def pass_on(self, source, target, stream):
        try:
            while data := source.recv(65536):
                if stream is not None:
                    with self.guard:
                        stream += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # either side has gone

    def published(self):
        """Every message so far, in order within its connection."""
        with self.guard:
            streams = [bytes(stream) for stream in self.streams]
        return [message for stream in streams for message in messages_of(stream)]
