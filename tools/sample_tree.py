"""A throwaway tree for the tests of the tools: files written from a dictionary, gone after the test."""

import pathlib
import tempfile
import unittest


class SampleTree(unittest.TestCase):
    """A test case with self.root and self.write()."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="carillon-tools-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path
