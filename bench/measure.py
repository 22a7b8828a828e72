#!/usr/bin/env python3
"""Measures every row of docs/performance.md: this server beside the bare kernel, interleaved, medians of rounds.

    bench/measure.py --wsload PATH [--rounds 3] [--rows one,echo] [--json FILE]

`--wsload` names a second, independent load generator; its `rawserver` is the kernel's row (an epoll loop that only
reads and writes), and it measures both servers again, to confirm the figures of carillon-bench. Without it there is
no kernel's row and no ratio. Every measurement has a freshly started server. Needs about 100 seconds a round.
"""

import argparse
import contextlib
import json
import pathlib
import platform
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/scenarios"))

from carillon_process import CarillonProcess


class Row:
    """One column of the table: what is run, and which figure of its JSON counts."""

    def __init__(self, title, test, arguments, figure, target, gathered=1):
        self.title, self.test, self.arguments, self.figure, self.target = title, test, arguments, figure, target
        self.gathered = gathered


FANOUT = ("server", "cpu_us_per_delivery")
ROWS = {
    "one": Row("1,000 subscribers, one at a time, µs", "fanout", ["--conns", "1000", "--messages", "1000"],
               FANOUT, "<= 1.1 x kernel"),
    "sixteen": Row("1,000, sixteen under way, µs", "fanout",
                   ["--conns", "1000", "--messages", "1600", "--warmup", "32", "--window", "16",
                    "--publish-depth", "16"],
                   FANOUT, "<= 0.5", gathered=16),
    "many": Row("10,000 subscribers, µs", "fanout", ["--conns", "10000", "--messages", "100", "--warmup", "5"],
                FANOUT, "<= 1.1 x kernel"),
    "echo": Row("echo, µs a message", "echo", ["--conns", "100", "--seconds", "4"],
                ("server", "cpu_us_per_message"), "<= 1.1 x kernel"),
    "storm": Row("handshake + close, µs", "storm", ["--seconds", "4"],
                 ("server", "cpu_us_per_handshake"), "<= 1.2 x kernel"),
    "idle": Row("idle connection, bytes", "idle", ["--conns", "10000"],
                ("memory", "bytes_per_idle_connection"), "<= 1024"),
}


class Server:
    """A running server: its process, and where its clients go."""

    def __init__(self, pid, port, paths):
        self.pid, self.port, self.paths = pid, port, paths

    def url(self, scheme, what):
        return f"{scheme}://127.0.0.1:{self.port}{self.paths[what]}"


@contextlib.contextmanager
def carillon(options):
    with CarillonProcess("--bench", *options.serve, demo=False, binary=options.binary) as process:
        paths = {"subscribe": "/ws/bench/load/", "publish": "/bench/load/", "echo": "/ws/echo/"}
        yield Server(process.pid, process.port, paths)


@contextlib.contextmanager
def kernel(options, gathered):
    command = [options.wsload, "rawserver", "--port", "0", "--coalesce", str(gathered)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process.stdout:
        try:
            line = process.stdout.readline()
            port = re.search(r"port=(\d+)", line)
            if not port:
                raise SystemExit(f"rawserver said {line!r} instead of its port")
            paths = {"subscribe": "/sub", "publish": "/publish", "echo": "/echo"}
            yield Server(process.pid, int(port.group(1)), paths)
        finally:
            process.kill()
            process.wait()


def figures(tool, own, row, server):
    """Runs one measurement and returns its JSON. `own` says that the tool is carillon-bench."""
    url = server.url("ws", "echo" if row.test == "echo" else "subscribe")
    command = [tool, row.test, "--url", url, "--server-pid", str(server.pid), *row.arguments]
    if row.test == "fanout":
        command += ["--publish-url", server.url("http", "publish")]
    if row.test == "idle":
        command += ["--seconds" if own else "--hold", "1"]
    if own:
        command.append("--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def one_round(options, rows, results):
    """Kernel and server right after each other, for each tool: the kernel's cost wanders within minutes."""
    tools = {"carillon-bench": options.bench}
    if options.wsload:
        tools["wsload"] = options.wsload
    for name in rows:
        row = ROWS[name]
        for tool_name, tool in tools.items():
            servers = {"carillon": lambda: carillon(options)}
            if options.wsload:
                servers = {"kernel": lambda: kernel(options, 1), **servers}
                if row.gathered > 1:
                    servers["kernel, gathered"] = lambda: kernel(options, row.gathered)
            for server_name, start in servers.items():
                with start() as server:
                    measured = figures(tool, tool is options.bench, row, server)
                key = (tool_name, server_name, name)
                results.setdefault(key, []).append(measured)
                value = measured[row.figure[0]][row.figure[1]]
                print(f"  {key[0]:15} {server_name:17} {name:8} {value:10.3f}", file=sys.stderr, flush=True)


def values(results, key, figure):
    return [run[figure[0]][figure[1]] for run in results.get(key, [])]


def cell(results, key):
    row = ROWS[key[2]]
    numbers = values(results, key, row.figure)
    if not numbers:
        return "-"
    digits = 0 if row.test == "idle" else 2
    text = f"{statistics.median(numbers):.{digits}f}"
    if row.test == "fanout":
        user = statistics.median(values(results, key, ("server", "cpu_user_us_per_delivery")))
        text += f" ({user:.2f})"
    return text


def ratio_cell(results, tool, name):
    """The median of the rounds' ratios, since the two runs of one round saw the same machine."""
    figure = ROWS[name].figure
    if ROWS[name].test == "idle":
        return "-"  # the bare loop keeps next to nothing of a connection
    ours, bare = (values(results, (tool, who, name), figure) for who in ("carillon", "kernel"))
    ratios = [a / b for a, b in zip(ours, bare) if b > 0]
    return f"{statistics.median(ratios):.2f}" if ratios else "-"


def table(results, rows):
    tools = sorted({key[0] for key in results})
    lines = ["| | " + " | ".join(ROWS[name].title for name in rows) + " |", "| --- |" + " --- |" * len(rows)]
    for tool in tools:
        for who in ("kernel", "kernel, gathered", "carillon"):
            if any((tool, who, name) in results for name in rows):
                lines.append(f"| {who} ({tool}) | " + " | ".join(cell(results, (tool, who, n)) for n in rows) + " |")
        lines.append(f"| ratio ({tool}) | " + " | ".join(ratio_cell(results, tool, n) for n in rows) + " |")
    lines.append("| **to reach** | " + " | ".join(f"**{ROWS[name].target}**" for name in rows) + " |")
    return "\n".join(lines)


def machine():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    cores = len(re.findall(r"^processor", pathlib.Path("/proc/cpuinfo").read_text(), re.M))
    return f"{cores} cores, {model.group(1) if model else platform.machine()}, Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/release/bin/carillon-showcase"))
    parser.add_argument("--bench", default=str(ROOT / "build/release/bin/carillon-bench"))
    parser.add_argument("--wsload", help="a second load generator, whose rawserver is the kernel's row")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--serve", action="append", default=[],
                        help="one more argument of serve, as --serve=--threads=1")
    parser.add_argument("--json", help="writes every figure of every run into that file")
    options = parser.parse_args()
    rows = options.rows.split(",")
    if set(rows) - set(ROWS) or options.rounds < 1:
        parser.error(f"--rows knows {', '.join(ROWS)}; --rounds is at least 1")
    results = {}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        one_round(options, rows, results)
    print(f"{machine()}; medians of {options.rounds} rounds; fan-out: in brackets the user share\n")
    print(table(results, rows))
    if options.json:
        flat = [{"tool": k[0], "server": k[1], "row": k[2], "runs": runs} for k, runs in results.items()]
        pathlib.Path(options.json).write_text(json.dumps(flat, indent=1))


if __name__ == "__main__":
    main()
