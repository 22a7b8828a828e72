"""build_budget.py: what is over budget is named, and what is made twice counts once."""

import unittest

from build_budget import judge, read_log


def log(*rows):
    return "# ninja log v5\n" + "".join(f"{start}\t{end}\t0\t{name}\tabc\n" for start, end, name in rows)


class Budget(unittest.TestCase):
    def test_a_quick_build_passes(self):
        lines, over = judge(read_log(log((0, 2000, "a.o"), (100, 9000, "b.o"), (9000, 9500, "bin/x"))))
        self.assertEqual(over, [])
        self.assertEqual(lines[0], "    8.9 s  b.o")
        self.assertIn("9.5 s  the whole build, 2 files", lines[2])

    def test_a_slow_file_is_refused(self):
        _, over = judge(read_log(log((0, 25001, "a.o"))))
        self.assertEqual(over, ["a.o: 25.0 s, at most 25"])

    def test_a_rather_slow_file_is_named(self):
        lines, over = judge(read_log(log((0, 12000, "a.o"))))
        self.assertEqual(over, [])
        self.assertIn("slow: a.o takes 12.0 s; 10 are wanted", lines)

    def test_a_slow_build_is_refused(self):
        _, over = judge(read_log(log(*((at * 1000, at * 1000 + 1000, f"{at}.o") for at in range(361)))))
        self.assertEqual(over, ["the build: 361 s, at most 360"])

    def test_the_last_entry_of_an_output_counts(self):
        self.assertEqual(read_log(log((0, 90000, "a.o"), (0, 1000, "a.o"))), {"a.o": (0.0, 1.0)})


if __name__ == "__main__":
    unittest.main()
