"""An HTTP/1.1 client that sends exactly the octets a test chooses, and reads answers strictly."""

import select
import socket
import time

CHUNK = 65536


def wait_for(sock, seconds, writing=False):
    """Waits until the socket can be read (or written); False where neither came in time. Any number of descriptors."""
    poll = select.poll()
    poll.register(sock, select.POLLIN | (select.POLLOUT if writing else 0))
    return bool(poll.poll(max(seconds, 0) * 1000))


class Answer:
    """Status, headers (names in lower case; a repeated one is joined by ", ") and body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:200]!r}"


class RawHttp:
    """One connection; reads are bounded by `timeout` seconds."""

    def __init__(self, address, timeout=10, sock=None):
        self.timeout = timeout
        self.sock = sock or socket.create_connection(address, timeout)
        self.buffer = b""
        self.ended = False

    def send(self, data):
        """Sends what the server takes; False where it has ended the connection meanwhile."""
        self.sock.settimeout(self.timeout)
        try:
            self.sock.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def _more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not wait_for(self.sock, left):
            raise TimeoutError(f"no answer in time, so far: {self.buffer[:300]!r}")
        try:
            got = self.sock.recv(CHUNK)
        except ConnectionResetError:
            got = b""
        self.ended = not got
        self.buffer += got

    def answer(self, head=False):
        """The next answer; None where the connection ended cleanly before one. `head`: it has no body (to HEAD)."""
        deadline = time.monotonic() + self.timeout
        while b"\r\n\r\n" not in self.buffer:
            if self.ended:
                if self.buffer:
                    raise ConnectionError(f"the answer ended early: {self.buffer[:300]!r}")
                return None
            self._more(deadline)
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.lower()
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
        status = int(lines[0].split(" ")[1])
        if head or status in (204, 304) or status < 200:
            return Answer(status, headers, b"")
        return Answer(status, headers, self._body(headers, deadline))

    def _body(self, headers, deadline):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked(deadline)
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]), deadline)
        while not self.ended:
            self._more(deadline)
        body, self.buffer = self.buffer, b""
        return body

    def _exactly(self, size, deadline):
        while len(self.buffer) < size:
            if self.ended:
                raise ConnectionError(f"{len(self.buffer)} of {size} octets of the body came")
            self._more(deadline)
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return body

    def _line(self, deadline):
        while b"\r\n" not in self.buffer:
            if self.ended:
                raise ConnectionError("a chunk ended early")
            self._more(deadline)
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _chunked(self, deadline):
        body = b""
        while True:
            size = int(self._line(deadline).split(b";")[0], 16)
            if size == 0:
                while self._line(deadline):
                    pass
                return body
            body += self._exactly(size, deadline)
            if self._line(deadline):
                raise ConnectionError("a chunk is longer than it said")

    def is_ended_within(self, seconds):
        """Whether the server ends the connection in that time; what it still sends is kept in self.buffer."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            try:
                self._more(deadline)
            except TimeoutError:
                return False
        return True

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def exchange(address, data, timeout=10, head=False):
    """Sends octets on a fresh connection and returns the first answer, or None where the server only hung up."""
    with RawHttp(address, timeout) as connection:
        connection.send(data)
        return connection.answer(head)


def request(method, path, host, *headers, body=b""):
    """A well-formed request with these header lines."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body and not any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
