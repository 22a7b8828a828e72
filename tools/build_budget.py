#!/usr/bin/env python3
"""Reads .ninja_log after a clean build: prints the ten slowest files, refuses a file or a build over its budget."""

import argparse
import pathlib
import sys

from source_files import ROOT

# What we want, and what fails. Between them lies the noise of shared machines.
FILE_WANTED, FILE_MOST = 10.0, 25.0
BUILD_WANTED, BUILD_MOST = 240.0, 360.0
SHOWN = 10


def read_log(text):
    """{output: (start, end) in seconds}; of an output that was made several times the last counts."""
    made = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if not line.startswith("#") and len(fields) == 5:
            made[fields[3]] = (int(fields[0]) / 1000, int(fields[1]) / 1000)
    return made


def judge(made):
    """(lines to print, what is over budget) of a build."""
    objects = {name: end - start for name, (start, end) in made.items() if name.endswith((".o", ".gch"))}
    slowest = sorted(objects.items(), key=lambda item: -item[1])
    wall = max((end for _, end in made.values()), default=0) - min((start for start, _ in made.values()), default=0)
    lines = [f"{seconds:7.1f} s  {name}" for name, seconds in slowest[:SHOWN]]
    lines.append(f"{wall:7.1f} s  the whole build, {len(objects)} files ({sum(objects.values()):.0f} s of compiling)")
    over = [f"{name}: {seconds:.1f} s, at most {FILE_MOST:.0f}" for name, seconds in slowest if seconds > FILE_MOST]
    over += [f"the build: {wall:.0f} s, at most {BUILD_MOST:.0f}"] if wall > BUILD_MOST else []
    lines += [f"slow: {name} takes {seconds:.1f} s; {FILE_WANTED:.0f} are wanted"
              for name, seconds in slowest if FILE_WANTED < seconds <= FILE_MOST]
    if BUILD_WANTED < wall <= BUILD_MOST:
        lines.append(f"slow: the build takes {wall:.0f} s; {BUILD_WANTED:.0f} are wanted")
    return lines, over


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/dev", type=pathlib.Path, help="folder of a clean build")
    log = ROOT / parser.parse_args().build / ".ninja_log"
    if not log.exists():
        sys.exit(f"build_budget: no {log}: build first")
    made = read_log(log.read_text(encoding="utf-8"))
    if not made:
        sys.exit(f"build_budget: {log} names nothing that was built")
    lines, over = judge(made)
    print("\n".join(lines + [f"over budget: {what}" for what in over]))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
