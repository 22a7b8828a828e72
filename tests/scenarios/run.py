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


# The closing section of failures, which is what a CI log shows: about this many lines, shared out among them.
CLOSING_LINES, LEAST_LINES = 170, 6


def shortened(lines, count):
    """So many of the lines: the middle is left out, as where it failed stands first and why stands last."""
    if len(lines) <= count:
        return lines
    first, last = count // 2, count - 1 - count // 2
    return [*lines[:first], f"... {len(lines) - first - last} lines are left out; they stand above ...", *lines[-last:]]


def block(test, text, count=sys.maxsize):
    """A failure as steps.py finds it: no line of the text begins as the lines around it do."""
    lines = (f"    {line}" for line in shortened(text.rstrip().splitlines(), count))
    return "\n".join([f"---- {test}", *lines, "----\n"])


class Result(unittest.TextTestResult):
    """Prints each scenario with its seconds, why it was skipped or failed, and at the end all failures once more."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def addError(self, test, err):
        super().addError(test, err)
        self.show_last(self.errors)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.show_last(self.failures)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.show_last(self.failures if issubclass(err[0], test.failureException) else self.errors)

    def show_last(self, bad):
        """At once: a run that is stopped for its time comes to no closing section."""
        self.stream.write(block(*bad[-1]))
        self.stream.flush()

    def printErrors(self):
        """The closing section, in which steps.py finds every failure."""
        bad = [*self.errors, *self.failures, *((test, "it passed unexpectedly") for test in self.unexpectedSuccesses)]
        if not bad:
            return
        self.stream.write(f"\nFAILED: {', '.join(dict.fromkeys(str(test).split()[0] for test, _ in bad))}\n")
        share = max(LEAST_LINES, CLOSING_LINES // len(bad) - 2)  # name and ---- stand around each
        for test, text in bad:
            self.stream.write(block(test, text, share))
        self.stream.flush()

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
    print(f"{result.passed + len(result.expectedFailures)} passed, {failed} failed")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
