#!/usr/bin/python3
"""Runs the scenarios: every *_scenario.py here is a unittest module that starts the real program by itself.

With --folder and --pattern it runs the modules of another folder in the same way; they may import what lies here."""

import argparse
import os
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Result(unittest.TextTestResult):
    """Prints each scenario with its seconds, and why it was skipped if it was."""

    def startTest(self, test):
        self.started = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.write(f"    {time.monotonic() - self.started:.1f} s\n")
        self.stream.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="the program to start")
    parser.add_argument("--folder", type=pathlib.Path, default=HERE, help="where the modules are")
    parser.add_argument("--pattern", default="*_scenario.py", help="the names of their files")
    parser.add_argument("names", nargs="*", help="only scenario files whose name contains one of these words")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} is not a program")
    os.environ["CARILLON_BINARY"] = str(options.binary.resolve())
    sys.path[:0] = [str(options.folder.resolve()), str(HERE)]
    suite = unittest.TestSuite()
    for file in sorted(options.folder.glob(options.pattern)):
        if not options.names or any(name in file.stem for name in options.names):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromName(file.stem))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    if not result.testsRun:
        print("no scenario was found")
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
