"""steps.py and clang_tidy.py: counts are read from what each kind of test program prints; nothing fails unseen."""

import contextlib
import io
import sys
import time
import unittest

import steps
from clang_tidy import clang_flags
from steps import Outcome, counted, outcome_of, program, run, run_shown, run_steps, telling


def quietly(function, *arguments):
    """(value, what was printed)"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        value = function(*arguments)
    return value, out.getvalue()


class Counting(unittest.TestCase):
    def test_each_kind_of_output(self):
        for output, counts in (
                ("[doctest] test cases:  5 |  4 passed | 1 failed | 0 skipped\n", (4, 1)),
                ("Ran 7 tests in 0.1s\n\nOK\n", (7, 0)),
                ("Ran 7 tests in 0.1s\n\nOK (skipped=2)\n", (5, 0)),
                ("Ran 7 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n", (4, 3)),
                ("# tests 9\n# pass 7\n# fail 1\n# cancelled 1\n", (7, 2)),
                ("\u2139 pass 3\n\u2139 fail 0\n# pass 2\n# fail 1\n", (5, 1)),
                ("Ran 7 tests in 0.1s\n2 passed, 0 failed\n", (2, 0)),
                ("nothing that counts\n", None)):
            with self.subTest(output=output):
                self.assertEqual(counted(output), counts)

    def test_an_exit_code_is_a_failure_whatever_was_printed(self):
        self.assertEqual(outcome_of(1, "5 passed, 0 failed\n"), Outcome(5, 1))
        self.assertEqual(outcome_of(134, ""), Outcome(0, 1))
        self.assertEqual(outcome_of(0, ""), Outcome(1, 0))


class Running(unittest.TestCase):
    def test_a_program_that_hangs_is_ended_with_its_children(self):
        started = time.monotonic()
        code, output = run(["sh", "-c", "echo here; cat /dev/zero >/dev/null & wait"], 0.3, "steps-test-hangs")
        self.assertEqual(code, 124)
        self.assertIn("here", output)
        self.assertLess(time.monotonic() - started, 5)

    def test_a_shown_program_is_bounded_too(self):
        command = ["sh", "-c", "echo '2 passed, 1 failed'; exec cat /dev/zero >/dev/null"]
        (code, output), printed = quietly(run_shown, command, 0.3, "steps-test-shown")
        self.assertEqual(code, 124)
        self.assertEqual(output, printed)
        self.assertEqual(outcome_of(code, output), Outcome(2, 1))

    def test_a_failing_program_shows_its_output(self):
        command = [sys.executable, "-c", "print('why'); raise SystemExit(3)"]
        outcome, printed = quietly(program, command, 30, "steps-test-fails")
        self.assertEqual(outcome, Outcome(0, 1))
        self.assertIn("why", printed)

    def test_later_steps_run_after_a_failure_and_the_counts_are_summed(self):
        code, printed = quietly(run_steps, [("one", lambda: Outcome(2, 1)), ("two", lambda: Outcome(3, 0, "a note"))])
        self.assertEqual(code, 1)
        self.assertEqual(printed.splitlines()[-1], "5 passed, 1 failed")
        self.assertIn("a note", printed)

    def test_a_step_that_cannot_start_is_a_failure(self):
        code, printed = quietly(run_steps, [("one", lambda: program(["/no/such/program"], 5, "steps-test-missing"))])
        self.assertEqual(code, 1)
        self.assertEqual(printed.splitlines()[-1], "0 passed, 1 failed")


class Telling(unittest.TestCase):
    """What of a failed program's output is shown."""
    MANY = "test_good ... ok\n" * 500

    def test_the_closing_section_of_scenarios(self):
        closing = "FAILED: test_bad\n---- test_bad\n    FAILED: a line of a log\n" + "    why\n" * 300 + "----\n"
        self.assertEqual(telling(self.MANY + closing + "1 passed, 1 failed", 200), closing + "1 passed, 1 failed")

    def test_the_failures_of_scenarios_that_were_stopped(self):
        failures = "---- test_bad\n    why\n----", "---- test_worse\n    ----\n    why too\n----"
        told = telling(f"{failures[0]}\n{failures[1]}\n{self.MANY}stopped after 5 s\n", 20)
        for each in (*failures, "stopped after 5 s"):
            self.assertIn(each, told)
        self.assertEqual(told.count("... ok"), 19)

    def test_the_failures_of_unit_tests_whatever_is_printed_after_them(self):
        code = ("import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        print('noise\\n' * 500)\n"
                "        self.fail('first')\n    def test_b(self):\n        raise KeyError('second')\n"
                "unittest.main()\n")
        outcome, printed = quietly(program, [sys.executable, "-c", code], 30, "steps-test-unittest")
        self.assertEqual(outcome, Outcome(0, 2))
        self.assertIn("AssertionError: first", printed)
        self.assertIn("KeyError: 'second'", printed)

    def test_the_last_lines_of_other_programs(self):
        self.assertEqual(telling("a\nb\nc", 2), "b\nc")


class ClangFlags(unittest.TestCase):
    def test_what_only_gcc_understands_is_left_out(self):
        command = ("/usr/bin/cmake -E env A=b ccache /usr/bin/c++ -DX=1 -Iinc -O1 -Werror -fpch-preprocess -std=c++20"
                   " -fsanitize=address -Winvalid-pch -include /b/cmake_pch.hxx -include keep.hpp -o a.o -c a.cpp")
        flags = clang_flags(command)
        self.assertEqual(flags[:-2], ["-DX=1", "-Iinc", "-O1", "-std=c++20", "-include", "keep.hpp"])

    def test_logs_lie_in_the_build_folder(self):
        self.assertEqual(steps.LOGS.parts[-2:], ("build", "logs"))


if __name__ == "__main__":
    unittest.main()
