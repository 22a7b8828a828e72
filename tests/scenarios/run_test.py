"""run.py on a folder of scenarios that fail: each failure stands at its place, and once more at the end."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

RUN = pathlib.Path(__file__).resolve().parent / "run.py"

# 40 that pass after two that fail, one of which says more than a closing section holds.
MODULE = r'''
import unittest
class First(unittest.TestCase):
    def test_a_long_story(self):
        self.fail("\n".join(["it begins", *["a line of a log"] * 400, "----", "FAILED: a word of the log", "it ends"]))
    def test_b_two_parts(self):
        for part in "one", "two":
            with self.subTest(part=part):
                raise KeyError(part)
    @unittest.expectedFailure
    def test_c_surprise(self):
        pass
class Second(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no broker")
    def test_never(self):
        pass
class Third(unittest.TestCase):
    pass
for number in range(40):
    setattr(Third, f"test_good_{number}", lambda self: None)
'''


class Run(unittest.TestCase):
    def run_on(self, module):
        with tempfile.TemporaryDirectory(prefix="carillon-run-") as folder:
            (pathlib.Path(folder) / "tried_scenario.py").write_text(module, encoding="utf-8")
            return subprocess.run([sys.executable, RUN, "--binary", "/bin/true", "--folder", folder], check=False,
                                  capture_output=True, text=True, timeout=60)

    def test_every_failure_is_told_at_once_and_in_the_closing_section(self):
        ran = self.run_on(MODULE)
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        before, closing = re.split(r"^(?=FAILED: )", ran.stdout, flags=re.M)
        self.assertLess(before.index("it ends"), before.index("test_good_0"))
        self.assertEqual(before.count("    a line of a log\n"), 400)
        self.assertLess(len(closing.splitlines()), 200)
        names = closing.splitlines()[0]
        for name in ("test_a_long_story", "test_b_two_parts", "test_c_surprise", "setUpClass"):
            self.assertIn(name, names)
        for told in ("it begins", "it ends", "KeyError: 'one'", "KeyError: 'two'", "no broker", "unexpectedly"):
            self.assertIn(told, closing)
        self.assertNotIn("... ok", closing)
        self.assertEqual(closing.splitlines()[-1], "40 passed, 5 failed")

    def test_without_a_failure_there_is_no_closing_section(self):
        ran = self.run_on("import unittest\nclass One(unittest.TestCase):\n    def test_it(self):\n        pass\n")
        self.assertEqual((ran.returncode, ran.stdout.splitlines()[-1]), (0, "1 passed, 0 failed"))
        self.assertNotIn("FAILED", ran.stdout)


if __name__ == "__main__":
    unittest.main()
