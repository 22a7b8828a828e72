"""doc_check.py: a bad sample for each rule is caught."""

import unittest

import doc_check
from sample_tree import SampleTree

SCRIPT = 'declare -A packages=(\n    [build]="g++ cmake\n        ninja-build"\n    [test]="curl"\n)\n'


class Documents(SampleTree):
    def found(self, text):
        self.write("docs/a.md", text)
        self.write("docs/b.md", "# Title one\n\n## What `it` is: yes\n")
        self.write("tools/thing.py", "")
        return doc_check.check(self.root)

    def test_links_that_resolve(self):
        self.assertEqual(self.found("[b](b.md) [c](b.md#title-one) [d](b.md#what-it-is-yes) [e](../tools/)\n"), [])
        self.assertEqual(self.found("[a](https://example.org/x) [b](mailto:a@example.org)\n"), [])

    def test_a_link_to_nothing(self):
        self.assertEqual(self.found("x\n[b](missing.md)\n"), ["docs/a.md:2: missing.md: no such file"])
        self.assertEqual(self.found("![b](missing.png)\n"), ["docs/a.md:1: missing.png: no such file"])

    def test_a_link_to_no_heading(self):
        self.assertEqual(self.found("[b](b.md#title-two)\n"), ["docs/a.md:1: b.md#title-two: no such heading"])
        self.assertEqual(self.found("# One\n[b](#two)\n"), ["docs/a.md:2: #two: no such heading"])

    def test_names_of_files(self):
        self.assertEqual(self.found("`tools/thing.py` `./tools/thing.py` `docs/*.md` `a/b` `GET /x` `text/csv`\n"), [])
        self.assertEqual(self.found("`tools/other.py`\n"), ["docs/a.md:1: tools/other.py: no such file"])
        self.assertEqual(self.found("`MISSING.md`\n"), ["docs/a.md:1: MISSING.md: no such file"])

    def test_code_blocks_are_left_alone(self):
        self.assertEqual(self.found("```\n[b](missing.md) `tools/other.py`\n```\n"), [])

    def test_code_of_the_guide_is_cut_from_a_compiled_file(self):
        self.write("showcase/a.cpp", "void f() {\n    g();\n    h();\n}\n")
        for mark, code, word in (("<!-- cut from showcase/a.cpp -->\n", "g();\nh();\n", None),
                                 ("<!-- cut from showcase/a.cpp -->\n", "g();\ni();\n", "not the same"),
                                 ("<!-- cut from showcase/a.cpp -->\n", "", "not the same"),
                                 ("<!-- cut from showcase/b.cpp -->\n", "g();\n", "no such file"),
                                 ("", "g();\n", "without a comment")):
            with self.subTest(mark=mark, code=code):
                self.write("docs/guide/g.md", f"Text\n\n{mark}```cpp\n{code}```\n")
                found = self.found("")
                self.assertEqual(len(found), 1 if word else 0, found)
                self.assertIn(word or "", "".join(found))

    def test_every_package_has_its_reason(self):
        self.write("tools/install_packages.sh", SCRIPT)
        rows = "| `deb:g++` `deb:cmake` | a |\n| `deb:ninja-build` | b |\n| `deb:curl` | c |\n"
        self.write("docs/dependencies.md", rows)
        self.assertEqual(self.found(""), [])
        self.write("docs/dependencies.md", rows.replace("curl", "wget"))
        self.assertEqual([line.split(": ", 1)[1] for line in self.found("")],
                         ["curl is installed, and has no row", "wget has a row, and is not installed"])


if __name__ == "__main__":
    unittest.main()
