"""Redis' MONITOR: which commands a server got between two moments."""

import shlex


class Monitor:
    """Records the commands of one server. Use it in a `with` statement."""

    def __init__(self, server):
        self.server = server
        self.connection = server.connect()
        self.connection.command("MONITOR")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def commands(self, mark="interop-mark"):
        """All commands until now, each a list of texts; those of scripts are there too."""
        self.server.command("ECHO", mark)
        found = []
        while True:
            line = self.connection.read().decode("utf-8", "backslashreplace")
            words = shlex.split(line[line.index("] ") + 2:].replace("\\\\", "/"))
            if words[-1] == mark:
                return found
            found.append(words)
