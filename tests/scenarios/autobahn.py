#!/usr/bin/env python3
"""Conformance of a WebSocket server: all cases of Autobahn's groups 1-7, 9, 10, 12, 13 against an echoing URL.

    tests/scenarios/autobahn.py ws://127.0.0.1:8000/ws/echo/ [--quick | --full] [--cases '6.4.*'] [--slowest 10]

One line for each failing case, then `N passed, N failed`; exit status 0 where none failed. The numbers are Autobahn's.
Cases of many messages send 1,000 each, in groups 12 and 13 no more than 4 MiB each (at 128 KiB: 32 messages), which
keeps the whole suite under four minutes; --full sends 1,000 everywhere. --quick leaves out the largest.
"""

import argparse
import fnmatch
import sys
import time
import urllib.parse

from autobahn_cases import MIB, Settings, cases, run_case


def run(settings, pattern="*", out=sys.stdout):
    """Runs the cases; returns the numbers passed and failed, and (seconds, number) of each."""
    passed, failures, durations = 0, 0, []
    for number, case in cases(settings):
        if not fnmatch.fnmatch(number, pattern):
            continue
        why, seconds = run_case(case, settings)
        durations.append((seconds, number))
        if why is None:
            passed += 1
        else:
            failures += 1
            print(f"FAILED {number}: {why}", file=out, flush=True)
    return passed, failures, durations


def settings_for(url, quick=False, full=False, allow_drop=False):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "ws" or not parts.hostname:
        raise SystemExit(f"{url!r} is not ws://HOST:PORT/PATH")
    messages, octets = (50, MIB // 2) if quick else (1000, 1 << 40) if full else (1000, 4 * MIB)
    return Settings((parts.hostname, parts.port or 80), parts.path or "/", messages, octets, quick, allow_drop)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cases", default="*", help="a shell pattern of case numbers")
    parser.add_argument("--slowest", type=int, default=0, help="print so many of the slowest cases")
    parser.add_argument("--allow-drop", action="store_true",
                        help="a server may also end the socket without a close frame, as Autobahn allows")
    options = parser.parse_args()
    settings = settings_for(options.url, options.quick, options.full, options.allow_drop)
    begin = time.monotonic()
    passed, failures, durations = run(settings, options.cases)
    for seconds, number in sorted(durations, reverse=True)[:options.slowest]:
        print(f"  {number:8} {seconds:7.2f} s")
    print(f"{settings.compressed_answers} answers came compressed; {time.monotonic() - begin:.0f} s")
    print(f"{passed} passed, {failures} failed")
    sys.exit(1 if failures or not passed else 0)


if __name__ == "__main__":
    main()
