#!/usr/bin/env python3
"""Turns a folder of built pages into one C++ source: a table of path, type, ETag, bytes and gzip bytes.

usage: embed_assets.py DIST OUTPUT.cpp --header assets.hpp --namespace showcase

DIST holds index.json: a list of {"path", "file", "type", "immutable"}. The bytes become string literals: 280 KB of
files compile in 0.2 s, and the source is all that a compiler cache needs to see. Prints nothing but errors.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import sys

# A page with a placeholder is changed by the server, so that its gzip form would be wrong.
PLACEHOLDER = b"__CARILLON_"
COMPRESSIBLE = ("text/", "image/svg", "application/json")
LITERAL_BYTES = 96

PLAIN = {byte: chr(byte) for byte in range(32, 127) if chr(byte) not in '"\\?'}
# Octal escapes end after three digits, whatever follows; a hexadecimal one would swallow digits.
ESCAPED = [PLAIN.get(byte, f"\\{byte:03o}") for byte in range(256)]


def literal(content: bytes, indent: str = "    ") -> str:
    """C++ string literals, one per line, that join to the content."""
    if not content:
        return indent + '""'
    pieces = (content[at : at + LITERAL_BYTES] for at in range(0, len(content), LITERAL_BYTES))
    return "\n".join(indent + '"' + "".join(map(ESCAPED.__getitem__, piece)) + '"' for piece in pieces)


def compressed(content: bytes, content_type: str) -> bytes:
    """A gzip stream without time stamp, or nothing when it is not smaller or not allowed."""
    if PLACEHOLDER in content or not content_type.startswith(COMPRESSIBLE):
        return b""
    small = gzip.compress(content, compresslevel=9, mtime=0)
    return small if len(small) < len(content) else b""


def render(dist: pathlib.Path, header: str, namespace: str) -> str:
    entries = sorted(json.loads((dist / "index.json").read_text()), key=lambda entry: entry["path"])
    data, rows = [], []
    for number, entry in enumerate(entries):
        content = (dist / entry["file"]).read_bytes()
        small = compressed(content, entry["type"])
        etag = hashlib.sha256(content).hexdigest()[:16]
        data.append(f"constexpr std::string_view content_{number}{{\n{literal(content)},\n    {len(content)}}};\n")
        data.append(f"constexpr std::string_view gzip_{number}{{\n{literal(small)},\n    {len(small)}}};\n")
        rows.append(
            f'        {{"{entry["path"]}", "{entry["type"]}", "\\"{etag}\\"", as_bytes(content_{number}), '
            f'as_bytes(gzip_{number}), {"true" if entry["immutable"] else "false"}}},\n'
        )
    return (
        f"// Written by tools/embed_assets.py; not to be edited.\n#include \"{header}\"\n\n"
        f"namespace {namespace} {{\nnamespace {{\n\nusing carillon::as_bytes;\n\n{''.join(data)}\n}} // namespace\n\n"
        f"std::span<const carillon::asset> assets() {{\n    static const carillon::asset table[] = {{\n"
        f"{''.join(rows)}    }};\n    return table;\n}}\n\n}} // namespace {namespace}\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dist", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--header", default="assets.hpp")
    parser.add_argument("--namespace", default="showcase")
    arguments = parser.parse_args()
    source = render(arguments.dist, arguments.header, arguments.namespace)
    # An unchanged source keeps its time, so that nothing is compiled again.
    if not arguments.output.exists() or arguments.output.read_text() != source:
        arguments.output.write_text(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
