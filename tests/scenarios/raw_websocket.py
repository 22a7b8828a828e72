"""A WebSocket client that can misbehave: every octet it sends is chosen by the test, every frame it gets is checked.

Only the standard library is used, so that this judge shares no code with what it judges. Reads are bounded in time.
"""

import base64
import hashlib
import os
import socket
import struct
import time
import zlib

from raw_http import wait_for

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SYNC_TAIL = b"\x00\x00\xff\xff"
HEAD_BYTES_MAX = 65536


class HandshakeRefused(Exception):
    """The server answered with another status than 101, or with a wrong 101."""

    def __init__(self, status, headers, body, why):
        super().__init__(f"{why}: status {status}, {body[:200]!r}")
        self.status, self.headers, self.body = status, headers, body


def masked(payload, key):
    """XOR with the key, as one operation on big integers: masking byte by byte would be the slowest part by far."""
    size = len(payload)
    if size == 0:
        return b""
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(stream, "little")).to_bytes(size, "little")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True, announced=None):
    """One frame as octets. `announced` puts another length into the head than the payload has."""
    size = len(payload) if announced is None else announced
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + masked(payload, key)


def fragments(opcode, payload, size, rsv=0):
    """The frames of one message, cut every `size` octets, as a list of octet strings."""
    parts = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    last = len(parts) - 1
    return [frame(opcode if i == 0 else CONTINUATION, part, fin=i == last, rsv=rsv if i == 0 else 0)
            for i, part in enumerate(parts)]


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


def read_http_head(sock, deadline):
    """Status, headers (names in lower case) and the octets behind the head."""
    data = b""
    while b"\r\n\r\n" not in data:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no complete answer: {data[:200]!r}")
        sock.settimeout(left)
        got = sock.recv(4096)
        if not got or len(data) > HEAD_BYTES_MAX:
            raise ConnectionError(f"the answer ended early: {data[:200]!r}")
        data += got
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return int(lines[0].split(" ")[1]), headers, rest


class Deflate:
    """permessage-deflate as the server agreed to it (RFC 7692 section 7)."""

    def __init__(self, parameters, level=6):
        self.level = level
        self.server_resets = "server_no_context_takeover" in parameters
        self.client_resets = "client_no_context_takeover" in parameters
        self.server_bits = int(parameters.get("server_max_window_bits", 15))
        self.client_bits = int(parameters.get("client_max_window_bits", 15))
        self._out, self._in = self._compressor(), self._decompressor()

    def _compressor(self):
        return zlib.compressobj(self.level, zlib.DEFLATED, -self.client_bits)

    def _decompressor(self):
        return zlib.decompressobj(-self.server_bits)  # a distance beyond the agreed window is an error

    def compress(self, payload):
        if self.client_resets:
            self._out = self._compressor()
        data = self._out.compress(payload) + self._out.flush(zlib.Z_SYNC_FLUSH)
        return data[:-4] if data.endswith(SYNC_TAIL) else data

    def decompress(self, payload):
        if self.server_resets:
            self._in = self._decompressor()
        return self._in.decompress(payload + SYNC_TAIL)


def parse_extension(answer):
    """Name and parameters of the one extension of an answer; None where there is none."""
    if not answer:
        return None
    if "," in answer:
        raise ValueError(f"more than one extension answered: {answer}")
    name, *rest = [part.strip() for part in answer.split(";")]
    parameters = {}
    for part in rest:
        key, _, value = part.partition("=")
        key, value = key.strip(), value.strip().strip('"')
        if key in parameters:
            raise ValueError(f"parameter {key} twice: {answer}")
        parameters[key] = value
    return name, parameters


class RawWebSocket:
    """One connection. `offer` is the text of Sec-WebSocket-Extensions; `headers` are more (name, value) pairs."""

    def __init__(self, address, path, offer=None, headers=(), origin=None, timeout=10, sock=None, subprotocols=None):
        self.timeout = timeout
        if sock is None:
            sock = socket.create_connection(address, timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.host = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "localhost"
        self.deflate = None
        self.compressed_messages = 0
        self._buffer = bytearray()
        self._ended = None  # how the stream ended: "eof" or the text of the error
        self._message = None  # opcode, compressed, parts
        self._handshake(path, offer, headers, origin, subprotocols)
        self.sock.setblocking(False)

    def _handshake(self, path, offer, headers, origin, subprotocols):
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key.decode()}"]
        if offer:
            lines.append(f"Sec-WebSocket-Extensions: {offer}")
        if subprotocols:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocols}")
        if origin:
            lines.append(f"Origin: {origin}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            status, answer, rest = read_http_head(self.sock, time.monotonic() + self.timeout)
        except (OSError, ValueError):
            self.sock.close()
            raise
        wanted = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        why = None
        if status != 101:
            why = "the handshake was refused"
        elif answer.get("sec-websocket-accept") != wanted or answer.get("upgrade", "").lower() != "websocket":
            why = "the handshake was answered wrongly"
        if why:
            self.sock.close()
            raise HandshakeRefused(status, answer, rest, why)
        self.answer = answer
        self._buffer += rest

    def use_deflate(self, parameters, level=6):
        self.deflate = Deflate(parameters, level)

    def send(self, data, chop=0):
        """Sends octets, `chop` at a time; reads meanwhile, so that two full directions cannot block each other."""
        view = memoryview(data)
        step = chop or max(len(view), 1)
        for at in range(0, len(view), step):
            part = view[at:at + step]
            deadline = time.monotonic() + self.timeout
            while len(part) and self._ended is None:
                try:
                    part = part[self.sock.send(part):]
                except BlockingIOError:
                    self._wait(deadline, writing=True)
                except OSError as error:
                    self._drain()
                    self._ended = self._ended or error.strerror or str(error)

    def _wait(self, deadline, writing=False):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server took no data in time")
        if wait_for(self.sock, left, writing):
            self._read()

    def _read(self):
        """True where octets came."""
        try:
            got = self.sock.recv(1 << 20)
        except BlockingIOError:
            return False
        except OSError as error:
            self._ended = error.strerror or str(error)
            return False
        if not got:
            self._ended = "eof"
            return False
        self._buffer += got
        return True

    def _drain(self):
        while self._ended is None and self._read():
            pass

    def event(self, timeout=None):
        """The next of ("message", payload, is_binary), ("ping"|"pong", payload), ("close", code or None, reason),
        ("end", how) and ("violation", text); None where nothing came in time."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            found = self._parse()
            if found:
                return found
            if self._ended is not None:
                return ("end", self._ended)
            left = deadline - time.monotonic()
            if left <= 0 or not wait_for(self.sock, left):
                return None
            self._read()

    def _parse(self):
        """Takes frames from the buffer until one makes an event."""
        while True:
            head = self._head()
            if head is None:
                return None
            if isinstance(head, str):
                self._ended = "violation"
                return ("violation", head)
            first, start, size = head
            payload = bytes(memoryview(self._buffer)[start:start + size])
            del self._buffer[:start + size]
            found = self._frame(first & 0x0F, bool(first & 0x80), bool(first & 0x40), payload)
            if found:
                return found

    def _head(self):
        """First octet, start and size of the payload; a text where the frame is wrong; None where it is incomplete."""
        data = self._buffer
        if len(data) < 2:
            return None
        first, second = data[0], data[1]
        opcode, size, start = first & 0x0F, second & 0x7F, 2
        if first & (0x30 if self.deflate else 0x70):
            return f"reserved bits in a frame of the server: {first:#x}"
        if second & 0x80:
            return "a masked frame of the server"
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            return f"opcode {opcode} from the server"
        if opcode >= 8 and (size > 125 or not first & 0x80):
            return "a control frame of the server that is long or fragmented"
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
        return None if len(data) < start + size else (first, start, size)

    def _frame(self, opcode, fin, rsv1, payload):
        if opcode == CLOSE:
            if len(payload) == 1:
                return ("violation", "a close frame of the server with one octet")
            return ("close", struct.unpack("!H", payload[:2])[0] if payload else None, payload[2:])
        if opcode in (PING, PONG):
            return ("ping" if opcode == PING else "pong", payload)
        if (opcode == CONTINUATION) != (self._message is not None) or (opcode == CONTINUATION and rsv1):
            return ("violation", "a wrong sequence of fragments from the server")
        if opcode != CONTINUATION:
            self._message = (opcode, rsv1, [])
        self._message[2].append(payload)
        if not fin:
            return None
        kind, compressed, parts = self._message
        self._message = None
        whole = b"".join(parts)
        if compressed:
            self.compressed_messages += 1
            try:
                whole = self.deflate.decompress(whole)
            except zlib.error as error:
                return ("violation", f"a compressed message of the server is broken: {error}")
        if kind == TEXT:
            try:
                whole.decode()
            except UnicodeDecodeError:
                return ("violation", "a text message of the server is not UTF-8")
        return ("message", whole, kind == BINARY)

    def send_text(self, text):
        self.send(frame(TEXT, text.encode()))

    def until_end(self, timeout=None):
        """All events up to and including ("end", …); a last None says that no end came in time."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        events = []
        while True:
            found = self.event(max(deadline - time.monotonic(), 0))
            events.append(found)
            if found is None or found[0] == "end":
                return events

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
