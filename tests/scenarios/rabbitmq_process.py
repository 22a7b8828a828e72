"""Starts a real RabbitMQ for a test: free ports of 127.0.0.1, its own epmd, own folder, ended by its process id."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from carillon_process import free_port, wait_until

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
EPMD = "/usr/bin/epmd"
START_SECONDS = 60  # it takes 5 to 8 s on an idle machine
STOP_SECONDS = 30


class RabbitmqProcess:
    """One node. Use it in a `with` statement; leaving it ends node and epmd and removes the folder.

    `settings` are lines of rabbitmq.conf. Ports and data stay the same through stop, kill and start."""

    def __init__(self, settings=""):
        self.settings = settings
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="carillon-rabbitmq-"))
        self.port, self.dist_port, self.epmd_port = free_port(), free_port(), free_port()
        self.log_path = self.folder / "output.log"
        self.child = self.epmd = None
        self.paused = False

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    @property
    def pid(self):
        return self.child.pid

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
            self.epmd = self.spawn([EPMD, "-address", "127.0.0.1", "-port", str(self.epmd_port)])
        self.child = self.spawn([SERVER])
        wait_until(self.answers, START_SECONDS, "rabbitmq-server answers")
        self.control("await_startup", "--timeout", str(START_SECONDS))
        return self

    def spawn(self, command):
        with open(self.log_path, "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                    env=self.environment())

    def answers(self):
        """Whether the node takes connections; fails at once when the process has ended."""
        if self.child.poll() is not None:
            raise AssertionError(f"rabbitmq-server ended with {self.child.returncode}:\n{self.log_tail()}")
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

    def stop(self):
        """SIGTERM, and waits for the end."""
        self.resume()
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=STOP_SECONDS)

    def kill(self):
        """kill -9: nothing is flushed, nobody is told."""
        self.child.kill()
        self.child.wait()
        self.paused = False

    def restart(self, how="stop"):
        """Stops (or kills) the node and starts it with the same data."""
        getattr(self, how)()
        return self.start()

    def pause(self):
        """SIGSTOP: connections stay open and nobody answers."""
        self.child.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        """Ends a pause."""
        if self.paused:
            self.child.send_signal(signal.SIGCONT)
            self.paused = False

    def close(self):
        """Ends node and epmd, whatever their state, and removes the folder."""
        for one in (self.child, self.epmd):
            if one and one.poll() is None:
                one.kill()
                one.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, scheme="amqp"):
        """Its address as a setting, of the virtual host "/"; the user is guest."""
        return f"{scheme}://guest:guest@127.0.0.1:{self.port}//"

    def log_tail(self, lines=20):
        text = self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def processor_seconds(self):
        """User and system time that the node has used."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
