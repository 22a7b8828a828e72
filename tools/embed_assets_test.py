"""Tests of tools/embed_assets.py: what is embedded comes out again byte for byte, whatever the bytes."""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import embed_assets

ROOT = pathlib.Path(__file__).resolve().parent.parent

READER = """
#include "assets.hpp"
#include <cstdio>
#include <string>
int main() {
    for (const carillon::asset& a : showcase::assets()) {
        std::printf("%s|%s|%d|", std::string(a.path).c_str(), std::string(a.etag).c_str(), a.immutable);
        for (auto part : {a.content, a.gzip}) {
            for (std::byte b : part)
                std::printf("%02x", static_cast<unsigned>(b));
            std::printf("|");
        }
        std::printf("\\n");
    }
}
"""


class EmbeddedFilesComeOutAgain(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dist = pathlib.Path(self.folder.name)

    def put(self, name, content, content_type="text/css", immutable=True):
        (self.dist / name).write_bytes(content)
        return {"path": f"/{name}", "file": name, "type": content_type, "immutable": immutable}

    def embed(self, entries):
        (self.dist / "index.json").write_text(json.dumps(entries))
        return embed_assets.render(self.dist, "assets.hpp", "showcase")

    def test_every_byte_survives_the_compiler(self):
        hostile = bytes(range(256)) * 3 + b'??/ "quoted" \\n \x001234 */ // ' + b"repeat " * 100
        entries = [
            self.put("b.css", hostile),
            self.put("empty.css", b""),
            self.put("a.html", b"<p>__CARILLON_DEMO__</p>" * 50, "text/html; charset=utf-8", False),
        ]
        source = self.dist / "table.cpp"
        source.write_text(self.embed(entries) + READER)
        program = self.dist / "table"
        includes = [f"-I{ROOT / 'include'}", f"-I{ROOT / 'showcase'}"]
        subprocess.run(["g++", "-std=c++20", *includes, str(source), "-o", str(program)], check=True)
        output = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
        rows = {row.split("|")[0]: row.split("|") for row in output.splitlines()}
        self.assertEqual(list(rows), ["/a.html", "/b.css", "/empty.css"])
        self.assertEqual(bytes.fromhex(rows["/b.css"][3]), hostile)
        self.assertEqual(gzip.decompress(bytes.fromhex(rows["/b.css"][4])), hostile)
        self.assertEqual(rows["/empty.css"][3:5], ["", ""])
        self.assertEqual(rows["/a.html"][4], "", "a page with a placeholder must not be compressed")
        self.assertEqual([rows[path][2] for path in rows], ["0", "1", "1"])
        self.assertRegex(rows["/b.css"][1], r'^"[0-9a-f]{16}"$')

    def test_the_tag_changes_with_the_content_and_only_with_it(self):
        first = self.embed([self.put("a.css", b"a{}")])
        self.assertEqual(first, self.embed([self.put("a.css", b"a{}")]))
        self.assertNotEqual(first, self.embed([self.put("a.css", b"b{}")]))

    def test_incompressible_files_have_no_gzip_form(self):
        self.assertEqual(embed_assets.compressed(b"ab", "text/css"), b"")
        self.assertEqual(embed_assets.compressed(b"a" * 1000, "image/png"), b"")


if __name__ == "__main__":
    unittest.main()
