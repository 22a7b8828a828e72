"""Thousands of probe sockets in one thread, cheap enough to judge two nodes on a small machine.

Received octets are kept and read at the end; only the numbered events of streams are looked at."""

import base64
import os
import select
import socket
import time

from judge import numbers_of
from raw_websocket import PONG, frame

ALIVE_EVERY_SECONDS = 10
ASK_EVERY_SECONDS = 0.05
BATCH = 200


class Member:
    """One socket and what it got."""

    def __init__(self, sock, group):
        self.sock, self.group, self.data, self.ended = sock, group, bytearray(), False

    def numbers(self):
        """What came, in its order: {publisher: [n, …]}."""
        return numbers_of(self.data)

    def has(self, text):
        return text in self.data

    def gaps(self):
        return self.data.count(b'"layer.gap"')


class Crowd:
    """Use it in a `with` statement."""

    def __init__(self):
        self.epoll, self.members, self.by_number = select.epoll(), [], {}
        self.alive_at = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.sock.close()
        self.epoll.close()

    def join(self, port, group, count):
        """Opens so many sockets in a group; all memberships hold when this returns."""
        fresh = []
        for start in range(0, count, BATCH):
            batch = [Member(self._open(port, group), group) for _ in range(min(BATCH, count - start))]
            for member in batch:
                self._read_greeting(member)
            fresh += batch
        for member in fresh:
            member.sock.setblocking(False)
            self.by_number[member.sock.fileno()] = member
            self.epoll.register(member.sock.fileno(), select.EPOLLIN)
        self.members += fresh
        return fresh

    @staticmethod
    def _open(port, group):
        sock = socket.create_connection(("127.0.0.1", port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(f"GET /ws/probe/?group={group} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                     f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        return sock

    @staticmethod
    def _read_greeting(member):
        """Takes the handshake and the first frame, which names the channel."""
        data = b""
        while b'"channel_name"' not in data or not data.endswith(b"}"):
            got = member.sock.recv(4096)
            if not got or not data.startswith(b"HTTP/1.1 101"[:len(data)]):
                raise AssertionError(f"no handshake: {data + got!r}")
            data += got

    def pump(self, enough, seconds):
        """Reads until enough() or the deadline; enough() may be slow, so it is asked every ASK_EVERY_SECONDS."""
        deadline, asked = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < deadline:
            for number, _ in self.epoll.poll(ASK_EVERY_SECONDS, 1024):
                self._read(self.by_number[number])
            self._say_alive()
            if time.monotonic() - asked >= ASK_EVERY_SECONDS:
                if enough():
                    return True
                asked = time.monotonic()
        return bool(enough())

    def _read(self, member):
        try:
            got = member.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if got:
            member.data += got
        else:
            member.ended = True
            self.epoll.unregister(member.sock.fileno())

    def _say_alive(self):
        """An unasked pong is as good as an answer to the server's pings."""
        if time.monotonic() - self.alive_at < ALIVE_EVERY_SECONDS:
            return
        self.alive_at = time.monotonic()
        sign = frame(PONG)
        for member in self.members:
            if not member.ended:
                try:
                    member.sock.send(sign)
                except OSError:
                    pass  # the next read says what happened to it

    def all_have(self, text):
        return all(member.has(text) for member in self.members)

    def ended(self):
        return sum(member.ended for member in self.members)
