#!/usr/bin/env python3
"""Checks the documents: links resolve, named files exist, C++ is cut from compiled files, each package has a reason."""

import pathlib
import re
import sys

from source_files import ROOT, source_files

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
CODE = re.compile(r"^(?:<!-- cut from (?P<file>\S+) -->\n)?```cpp\n(?P<code>.*?)^```$", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
NAMED = re.compile(r"^\.?/?[\w.@-]+(?:/[\w.@*-]+)*/?$")
PACKAGES = "tools/install_packages.sh"
REASONS = "docs/dependencies.md"


def blanked(text):
    """The text without code blocks; lines keep their numbers."""
    return FENCE.sub(lambda match: re.sub(r"[^\n]", "", match.group(0)), text)


def anchors(text):
    """The anchors that the headings of a document make, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+\s+(.*)$", blanked(text), re.M):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower())
        found.add(plain.strip().replace(" ", "-"))
    return found


def broken_link(root, document, target):
    """Why a link leads nowhere, or None. Addresses elsewhere are not visited."""
    if re.match(r"[a-z][a-z+.-]*:", target):
        return None
    name, _, anchor = target.partition("#")
    path = root / document.parent / name if name else root / document
    if not path.exists():
        return f"{target}: no such file"
    if anchor and path.suffix == ".md" and anchor not in anchors(path.read_text(encoding="utf-8")):
        return f"{target}: no such heading"
    return None


def missing_file(root, tops, span):
    """Why a name in a code span is wrong: it begins like a path of the tree, and nothing lies there."""
    if not NAMED.match(span):
        return None
    name = span.removeprefix("./").rstrip("/")
    first = name.split("/")[0]
    documented = re.fullmatch(r"[A-Z]+\.md", name)
    if not documented and ("/" not in name or first not in tops):
        return None
    found = any(root.glob(name)) if "*" in name else (root / name).exists()
    return None if found else f"{span}: no such file"


def uncut_code(root, document, text):
    """C++ in what newcomers read is cut from a compiled file, which the comment before the block names."""
    if document != pathlib.PurePosixPath("README.md") and document.parts[:2] != ("docs", "guide"):
        return
    for block in CODE.finditer(text):
        number = text.count("\n", 0, block.start("code")) + 1
        source = root / (block.group("file") or "")
        if not block.group("file"):
            yield number, "C++ without a comment <!-- cut from FILE --> on the line before it"
        elif not source.is_file():
            yield number, f"{block.group('file')}: no such file"
        elif not is_part(block.group("code"), source.read_text(encoding="utf-8")):
            yield number, f"not the same as in {block.group('file')}"


def is_part(code, whole):
    """Whether code stands in a file, its indentation aside, so that a part of a function can be shown."""
    part, lines = ([line.strip() for line in text.strip().splitlines()] for text in (code, whole))
    return bool(part) and any(lines[at:at + len(part)] == part for at in range(len(lines)))


def package_names(root):
    """The packages that the install script may install."""
    text = (root / PACKAGES).read_text(encoding="utf-8")
    lists = re.search(r"declare -A packages=\((.*?)^\)", text, re.S | re.M)
    groups = re.findall(r'\[\w+\]="([^"]*)"', lists.group(1)) if lists else []
    return {name for group in groups for name in group.split()}


def unexplained_packages(root):
    """Packages that are installed and have no row in the table of reasons, and rows whose package is not installed."""
    if not (root / PACKAGES).exists():
        return []
    rows = set()
    for row in re.findall(r"^\|([^|]*)\|", (root / REASONS).read_text(encoding="utf-8"), re.M):
        rows |= set(re.findall(r"`deb:([a-z0-9.+-]+)`", row))
    wanted = package_names(root)
    found = [f"{PACKAGES}:1: no packages were found"] if not wanted else []
    found += [f"{REASONS}:1: {name} is installed, and has no row" for name in sorted(wanted - rows)]
    return found + [f"{REASONS}:1: {name} has a row, and is not installed" for name in sorted(rows - wanted)]


def check(root):
    """All that is wrong in the documents below root, as lines 'file:line: what'."""
    root, found = pathlib.Path(root), []
    files = source_files(root)
    tops = {path.parts[0] for path in files if len(path.parts) > 1}
    for document in files:
        if document.suffix != ".md":
            continue
        text = (root / document).read_text(encoding="utf-8")
        found += [f"{document}:{number}: {what}" for number, what in uncut_code(root, document, text)]
        for number, line in enumerate(blanked(text).splitlines(), 1):
            whys = [broken_link(root, document, first or second) for first, second in LINK.findall(line)]
            whys += [missing_file(root, tops, span) for span in SPAN.findall(line)]
            found += [f"{document}:{number}: {why}" for why in whys if why]
    return found + unexplained_packages(root)


def main():
    found = check(sys.argv[1] if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) if found else "doc_check: links resolve, named files exist, every package has its reason")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
