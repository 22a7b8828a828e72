"""mend_comments.py: comments fit afterwards, no word is lost, code stays as it was."""

import unittest

from mend_comments import mended


class Mending(unittest.TestCase):
    def test_what_fits_stays(self):
        text = '// A comment.\nint a; // trailing\nauto b = "// no comment";\n'
        self.assertEqual(mended(text), text)

    def test_a_long_line_goes_on_in_the_next_line_of_its_paragraph(self):
        text = "// " + "word " * 30 + "end\n// next line.\n//\n// Another paragraph.\n"
        out = mended(text)
        self.assertTrue(all(len(line) <= 120 for line in out.splitlines()))
        self.assertEqual(out.replace("\n", " ").replace("//", "").split(), text.replace("//", "").split())
        self.assertIn("word end next line.\n//\n// Another", out)

    def test_a_list_item_is_not_joined(self):
        out = mended("    // " + "word " * 25 + "end\n    // - item\n")
        self.assertTrue(out.endswith("end\n    // - item\n"))

    def test_banners_are_cut(self):
        self.assertEqual(mended("// --- part " + "-" * 110 + "\n"), "// --- part " + "-" * 88 + "\n")

    def test_a_long_trailing_comment_stands_above(self):
        out = mended("struct a {\n    int b = 0; // " + "word " * 20 + "end\n    int c;\n};\n")
        self.assertEqual(out, "struct a {\n    // " + "word " * 20 + "end\n    int b = 0;\n    int c;\n};\n")

    def test_its_continuation_goes_with_it(self):
        first = "    int b = 0; // " + "word " * 20 + "first"
        out = mended(f"{first}\n               // second\n               // third\n    // Of c.\n    int c;\n")
        above = "    // " + "word " * 20 + "first second\n    // third\n"
        self.assertEqual(out, above + "    int b = 0;\n    // Of c.\n    int c;\n")

    def test_strings_that_hold_slashes_are_no_comments(self):
        text = 'auto a = f("http://' + "x" * 100 + '");\n'
        self.assertEqual(mended(text), text)


if __name__ == "__main__":
    unittest.main()
