"""Starts a real Redis for a test: free port or unix socket, own folder, nothing kept, ended by its process id."""

import socket

from carillon_process import free_port, wait_until
from child_process import ChildProcess

SERVER = "/usr/bin/redis-server"
START_SECONDS = 10
ANSWER_SECONDS = 5


class RedisError(Exception):
    """An error reply."""


class RedisProcess(ChildProcess):
    """One redis-server without persistence: restarted, it is empty.

    `options` are redis-server's own: RedisProcess("--requirepass", "secret", password="secret"). With `unix_socket` it
    listens on no port. With `sentinel` the text of a configuration file it runs as a Sentinel. `host` may be another
    address of 127.0.0.0/8. `port` stays the same through stop, kill and start."""

    stop_seconds = 10

    def __init__(self, *options, unix_socket=False, host="127.0.0.1", port=None, username=None, password=None,
                 sentinel=None):
        super().__init__("redis-server")
        self.options, self.host, self.username, self.password = list(options), host, username, password
        self.sentinel = sentinel
        self.port = 0 if unix_socket else port or free_port()
        self.socket_path = self.folder / "redis.sock" if unix_socket else None

    def arguments(self):
        """The whole command line."""
        if self.sentinel is not None:
            path = self.folder / "sentinel.conf"
            if not path.exists():  # a Sentinel writes what it learns into its file
                path.write_text(self.sentinel, encoding="utf-8")
            return [SERVER, str(path), "--sentinel", "--port", str(self.port), "--bind", self.host]
        where = ["--unixsocket", str(self.socket_path)] if self.socket_path else ["--bind", self.host]
        return [SERVER, "--port", str(self.port), *where, "--save", "", "--appendonly", "no", "--dir", str(self.folder),
                "--daemonize", "no", *self.options]

    def start(self):
        """Starts the server where it was before; it answers when this returns."""
        self.child = self.launch(self.arguments())
        wait_until(self.answers, START_SECONDS, f"redis-server answers\n{self.log_tail()}")
        return self

    def answers(self):
        """Whether a PING is answered; fails at once when the process has ended."""
        self.assert_runs()
        try:
            return self.command("PING") == b"PONG"
        except (OSError, RedisError):
            return False

    def url(self, scheme="redis", database=0, tail=""):
        """Its address as a setting: redis://127.0.0.1:PORT/0, or with scheme "unix" unix:///PATH?db=0. With its password."""
        secret = f"{self.username or ''}:{self.password}@" if self.password else ""
        if self.socket_path:
            return f"{scheme.replace('redis', 'unix')}://{secret}{self.socket_path}?db={database}{tail}"
        return f"{scheme}://{secret}{self.host}:{self.port}/{database}{tail}"

    def connect(self, seconds=ANSWER_SECONDS):
        """A connection that is signed in: RedisConnection."""
        return RedisConnection(str(self.socket_path) if self.socket_path else (self.host, self.port), seconds,
                               self.username, self.password)

    def command(self, *words, database=0):
        """One command on a connection of its own: bytes, int, None or a list; raises RedisError."""
        with self.connect() as connection:
            if database:
                connection.command("SELECT", database)
            return connection.command(*words)

    def info(self, section="server"):
        """INFO as a dictionary of texts."""
        lines = self.command("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def cut_connections(self):
        """CLIENT KILL of everybody else; returns how many there were."""
        return self.command("CLIENT", "KILL", "SKIPME", "yes")


class RedisConnection:
    """One connection that speaks RESP2. Not for several threads."""

    def __init__(self, where, seconds=ANSWER_SECONDS, username=None, password=None):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(seconds)
            self.socket.connect(where)
            self.stream = self.socket.makefile("rb")
            if password is not None:
                self.command("AUTH", *([username] if username else []), password)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def command(self, *words):
        """Sends one command and returns its reply."""
        self.send(*words)
        return self.read()

    def send(self, *words):
        """Sends one command; words are bytes, texts or numbers."""
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))

    def read(self, inside_list=False):
        """The next reply or pushed message. An error inside a list (of EXEC) is an item of it."""
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis-server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            if inside_list:
                return RedisError(rest.decode())
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read(inside_list=True) for _ in range(int(rest))]
        raise ConnectionError(f"no reply: {line!r}")
