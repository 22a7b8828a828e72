"""One process that a test starts, stops, kills and pauses, and its folder: what the programs under test share."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile


class ChildProcess:
    """Use it in a `with` statement; leaving it ends the process by its id and removes its folder.

    A subclass calls launch() in its start() and says how long it may take to stop. `name` is for people."""

    stop_seconds = 40

    def __init__(self, name, folder=None):
        self.name, self.owns_folder = name, folder is None
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix=f"carillon-{name}-"))
        self.log_path = self.folder / f"{name}-{id(self):x}.log"
        self.child = None
        self.paused = False

    def __enter__(self):
        try:
            return self.enter()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def enter(self):
        """What `with` waits for."""
        return self.start()

    @property
    def pid(self):
        return self.child.pid

    def launch(self, command, **more):
        """A new process of this command, which writes to the log; `more` is subprocess.Popen's."""
        with open(self.log_path, "ab") as log:
            return subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log,
                                                "cwd": self.folder, **more})

    def assert_runs(self):
        """Fails with the end of the log when the process has ended."""
        if self.child.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.child.returncode}:\n{self.log_tail()}")

    def stop(self, seconds=None):
        """SIGTERM; returns the exit code. A process that does not end in time fails the test."""
        seconds = seconds or self.stop_seconds
        self.resume()
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} runs {seconds} s after SIGTERM:\n{self.log_tail()}") from None

    def kill(self):
        """kill -9: nothing is flushed, and nothing is left of the process when this returns."""
        self.child.kill()
        self.child.wait()
        self.paused = False

    def restart(self, how="stop"):
        """Stops (or kills) the process and starts it at the same place."""
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
        """Ends the process, whatever its state, and removes the folder when it is ours."""
        if self.child and self.child.poll() is None:
            self.kill()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def cpu_seconds(self):
        """User and system time that the process has used."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
