"""Starts a real RabbitMQ for a test: free ports of 127.0.0.1, its own epmd, own folder, ended by its process id."""

import socket
import subprocess

from carillon_process import free_port, wait_until
from child_process import ChildProcess

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
EPMD = "/usr/bin/epmd"
START_SECONDS = 60  # it takes 5 to 8 s on an idle machine


class RabbitmqProcess(ChildProcess):
    """One node and its epmd.

    `settings` are lines of rabbitmq.conf. Ports and data stay the same through stop, kill and start."""

    def __init__(self, settings=""):
        super().__init__("rabbitmq-server")
        self.settings = settings
        self.port, self.dist_port, self.epmd_port = free_port(), free_port(), free_port()
        self.epmd = None

    def environment(self):
        """The variables of the node and of rabbitmqctl, and nothing else."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node instead of starting it
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def start(self):
        """Starts the node on the data that it had before; it takes connections when this returns."""
        (self.folder / "plugins").write_text("[].\n", encoding="ascii")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file.level = warning\n{self.settings}\n", encoding="utf-8")
        if not self.epmd or self.epmd.poll() is not None:
            self.epmd = self.launch([EPMD, "-address", "127.0.0.1", "-port", str(self.epmd_port)],
                                    env=self.environment())
        self.child = self.launch([SERVER], env=self.environment())
        wait_until(self.answers, START_SECONDS, "rabbitmq-server answers")
        self.control("await_startup", "--timeout", str(START_SECONDS))
        return self

    def answers(self):
        """Whether the node takes connections; fails at once when the process has ended."""
        self.assert_runs()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def control(self, *arguments):
        """rabbitmqctl with these arguments; returns what it prints, raises when it fails."""
        done = subprocess.run([CONTROL, *arguments], env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=2 * START_SECONDS, check=False)
        if done.returncode != 0:
            raise AssertionError(f"rabbitmqctl {' '.join(arguments)} ended with {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}{self.log_tail()}")
        return done.stdout

    def queues(self, *columns):
        """The queues as dictionaries: queues("messages", "consumers") -> {"celery": {"messages": 3, …}}."""
        text = self.control("list_queues", "--quiet", "--no-table-headers", "name", *columns)
        rows = (line.split("\t") for line in text.splitlines() if line)
        return {row[0]: {column: int(field) for column, field in zip(columns, row[1:])} for row in rows}

    def cut_connections(self):
        """Closes those of everybody."""
        self.control("close_all_connections", "cut by a test")

    def close(self):
        """Ends node and epmd, whatever their state, and removes the folder."""
        if self.epmd and self.epmd.poll() is None:
            self.epmd.kill()
            self.epmd.wait()
        super().close()

    def url(self, scheme="amqp"):
        """Its address as a setting, of the virtual host "/"; the user is guest."""
        return f"{scheme}://guest:guest@127.0.0.1:{self.port}//"
