"""Runs named steps one after the other, shows the output of those that fail, and ends with a table and the counts."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time

from source_files import ROOT

LOGS = ROOT / "build" / "logs"
CLOSING_LINE = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.M)
UNITTEST_BAD = re.compile(r"^FAILED \((.*)\)$", re.M)
CLOSING_SECTION = re.compile(r"^FAILED: ", re.M)  # of tests/scenarios/run.py
UNITTEST_SECTION = re.compile(r"^={70}\n(?:FAIL|ERROR): ", re.M)
FAILURE = re.compile(r"^---- .*?^----$", re.M | re.S)
NODE = re.compile(r"^(?:#|\u2139) (pass|fail|cancelled|skipped) (\d+)$", re.M)
DOCTEST = re.compile(r"^\[doctest\] test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed", re.M)


@dataclasses.dataclass
class Outcome:
    """What a step, or one program of it, came to. A step without tests of its own counts as one."""
    passed: int = 0
    failed: int = 0
    note: str = ""

    def __add__(self, other):
        notes = "; ".join(note for note in (self.note, other.note) if note)
        return Outcome(self.passed + other.passed, self.failed + other.failed, notes)


def counted(output):
    """(passed, failed) as the programs that we run print them, or None when none of them speaks."""
    closing = CLOSING_LINE.findall(output)
    if closing:
        return int(closing[-1][0]), int(closing[-1][1])
    doctest, node, ran = DOCTEST.findall(output), NODE.findall(output), UNITTEST.findall(output)
    if doctest:
        return sum(int(passed) for passed, _ in doctest), sum(int(failed) for _, failed in doctest)
    if node:
        return (sum(int(count) for word, count in node if word == "pass"),
                sum(int(count) for word, count in node if word in ("fail", "cancelled")))
    if ran:
        words = " ".join(UNITTEST_BAD.findall(output))
        bad = sum(int(count) for count in re.findall(r"(?:failures|errors|unexpected successes)=(\d+)", words))
        skipped = sum(int(count) for count in re.findall(r"\(.*?skipped=(\d+)", output))
        return sum(int(count) for count in ran) - bad - skipped, bad
    return None


def outcome_of(code, output):
    """Counts of a finished program. An exit code other than 0 is a failure even where every test passed."""
    passed, failed = counted(output) or ((1, 0) if code == 0 else (0, 1))
    return Outcome(passed, max(failed, 1) if code else failed)


def run(command, seconds, name, environment=None, folder=ROOT, visible=False):
    """Runs a command in its own process group, with a bound in time; returns (exit code, output).

    The output goes to build/logs/NAME.log. With `visible`, on a terminal, it goes there instead and is empty here."""
    LOGS.mkdir(parents=True, exist_ok=True)
    shown = visible and sys.stdout.isatty()
    log = LOGS / f"{name}.log"
    with open(log, "wb") as file:
        child = subprocess.Popen([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL,
                                 stdout=None if shown else file, stderr=subprocess.STDOUT,
                                 env={**os.environ, **(environment or {})}, start_new_session=True)
        try:
            code = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_group(child)
    output = log.read_text(encoding="utf-8", errors="replace")
    return (code, output) if code is not None else (124, f"{output}\n{name}: stopped after {seconds} s\n")


def run_shown(command, seconds, name, folder=ROOT):
    """As run(), and every line is shown as it comes: for a program that runs steps of its own."""
    LOGS.mkdir(parents=True, exist_ok=True)
    late, lines = threading.Event(), []
    with subprocess.Popen([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as child:
        timer = threading.Timer(seconds, lambda: (late.set(), end_group(child)))
        timer.start()
        try:
            for line in child.stdout:
                lines.append(line)
                print(line, end="", flush=True)
            code = child.wait()
        finally:
            timer.cancel()
            end_group(child)
    if late.is_set():
        code = 124
        lines.append(f"{name}: stopped after {seconds} s\n")
        print(lines[-1], end="", flush=True)
    (LOGS / f"{name}.log").write_text("".join(lines), encoding="utf-8")
    return code, "".join(lines)


def end_group(child):
    """Ends what a step left running: its own process group, nothing else."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def program(command, seconds, name, **more):
    """Runs a command, shows its output when it failed, and returns its Outcome."""
    code, output = run(command, seconds, name, **more)
    outcome = outcome_of(code, output)
    if outcome.failed:
        show(name, output)
    return outcome


def show(name, output, lines=200):
    """Prints what says most of a failed program; the whole is in build/logs."""
    print(f"---- {name} failed; of build/logs/{name}.log:", telling(output.rstrip(), lines), "----", sep="\n",
          flush=True)


def telling(output, lines):
    """The failures of Python's tests, with what follows them, in whole; of other programs the last lines."""
    sections = list(CLOSING_SECTION.finditer(output))[-1:] or list(UNITTEST_SECTION.finditer(output))[:1]
    if sections:
        return output[sections[0].start():]
    failures = FAILURE.findall(output)  # of a run that was stopped before its end
    return "\n".join([*failures, *output.splitlines()[-lines:]])


def run_steps(steps):
    """Runs (name, function returning an Outcome) pairs, prints table and closing line; returns the exit code."""
    rows, total = [], Outcome()
    for name, function in steps:
        print(f"==== {name}", flush=True)
        started = time.monotonic()
        try:
            outcome = function()
        except (OSError, subprocess.SubprocessError) as trouble:
            print(f"{name}: {trouble}", flush=True)
            outcome = Outcome(failed=1, note=str(trouble))
        rows.append((name, time.monotonic() - started, outcome))
        total += outcome
        print(f"     {outcome.passed} passed, {outcome.failed} failed, {rows[-1][1]:.1f} s {outcome.note}", flush=True)
    print_table(rows)
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


def print_table(rows):
    width = max(len(name) for name, _, _ in rows)
    print(f"\n{'step':{width}}  {'seconds':>8}  {'passed':>6}  {'failed':>6}")
    for name, seconds, outcome in rows:
        print(f"{name:{width}}  {seconds:8.1f}  {outcome.passed:6d}  {outcome.failed:6d}  {outcome.note}".rstrip())
    print(f"{'all':{width}}  {sum(seconds for _, seconds, _ in rows):8.1f}\n")
