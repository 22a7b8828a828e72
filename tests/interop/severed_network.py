"""A node whose network to Redis can be cut without a word: a network namespace for root, else a proxy that stalls."""

import os
import select
import socket
import subprocess
import threading

from redis_process import RedisProcess

REDIS_ADDRESS, NODE_ADDRESS = "10.77.0.1/30", "10.77.0.2/30"  # of the namespaces alone
CHUNK = 65536


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


def severable():
    """A namespace where that is possible, else a proxy; says which."""
    if os.geteuid() == 0:
        try:
            return Namespaces()
        except (OSError, subprocess.CalledProcessError) as why:
            print(f"no network namespace here ({why}): a proxy that stalls instead", end=" ")
    else:
        print("not root: a proxy that stalls instead of a network namespace", end=" ")
    return StallingProxy()


class Namespaces:
    """Two namespaces, one for Redis and one for the node, with a cable between them; cutting it loses packets, and
    nobody is told. The test itself reaches both over unix sockets: the addresses and routes of this machine are not
    touched, whatever they are."""

    def __init__(self):
        self.names = [f"carillon-{os.getpid()}-{end}" for end in ("redis", "node")]
        self.redis = None
        try:
            for name in self.names:
                ip("netns", "add", name)
            ip("-netns", self.names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable",
               "netns", self.names[1])
            for name, address in zip(self.names, (REDIS_ADDRESS, NODE_ADDRESS)):
                ip("-netns", name, "address", "add", address, "dev", "cable")
                ip("-netns", name, "link", "set", "cable", "up")
            self.redis = RedisBehind(self.prefix(0)).start()
        except BaseException:
            self.__exit__()
            raise
        self.url = f"redis://{self.redis.cable_address}:{self.redis.cable_port}/0"
        self.node_prefix = self.prefix(1)

    def prefix(self, end):
        """What a command line begins with that runs there."""
        return ["ip", "netns", "exec", self.names[end]]

    def cut(self):
        ip("-netns", self.names[0], "link", "set", "cable", "down")

    def mend(self):
        ip("-netns", self.names[0], "link", "set", "cable", "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.redis:
            self.redis.close()
        for name in self.names:  # the cable goes with them
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=10, check=False)


class RedisBehind(RedisProcess):
    """A server on a unix socket, for everybody here, and on the cable's address."""

    cable_address, cable_port = REDIS_ADDRESS.split("/")[0], 6379

    def __init__(self, prefix):
        super().__init__("--port", str(self.cable_port), "--bind", self.cable_address, "--protected-mode", "no",
                         unix_socket=True)
        self.prefix = prefix

    def arguments(self):
        return self.prefix + super().arguments()


class StallingProxy:
    """Passes octets between the node and Redis until it is cut; then it takes none and says nothing."""

    def __init__(self):
        self.redis = RedisProcess().start()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"
        self.node_prefix = []
        self.open, self.ending, self.sockets = threading.Event(), threading.Event(), []
        self.open.set()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while not self.ending.is_set():
            try:
                near, _ = self.listener.accept()
                self.open.wait()  # a cut network makes no connections
                far = socket.create_connection(("127.0.0.1", self.redis.port))
            except OSError:
                return
            self.sockets += [near, far]
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        other = {near: far, far: near}
        try:
            while True:
                for one in select.select([near, far], [], [])[0]:
                    data = one.recv(CHUNK)
                    if not data:
                        raise ConnectionError
                    self.open.wait()
                    other[one].sendall(data)
        except OSError:
            near.close()
            far.close()

    def cut(self):
        self.open.clear()

    def mend(self):
        self.open.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.open.set()
        self.listener.close()
        for one in self.sockets:
            one.close()
        self.redis.close()
