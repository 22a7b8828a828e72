#!/usr/bin/env python3
"""Checks that every C++ file is formatted as .clang-format says, and every shell script is free of the usual traps."""

import argparse
import shutil
import subprocess
import sys

from mend_comments import mended
from source_files import ROOT, source_files
from tidy import CPP, DATA, is_script

FORMATTERS = ("clang-format-14",)


def cpp_files():
    return [str(path) for path in source_files() if path.suffix in CPP and not DATA.match(str(path))]


def shell_files():
    """Scripts whose first line names bash or sh."""
    found = []
    for path in source_files():
        if path.suffix == ".sh" or is_script(ROOT, path):
            first = (ROOT / path).read_text(encoding="utf-8").split("\n", 1)[0]
            if first.endswith("sh"):
                found.append(str(path))
    return found


def mend(files):
    """Makes comments fit before the formatter sees them: it would break the code in front of a long one."""
    for path in (ROOT / name for name in files):
        text = path.read_text(encoding="utf-8")
        if mended(text) != text:
            path.write_text(mended(text), encoding="utf-8")


def tool(*names):
    """The first of these programs that is installed; formatting differs between releases, so only these will do."""
    found = next((name for name in names if shutil.which(name)), None)
    if not found:
        sys.exit(f"style: {names[0]} is not installed: tools/install_packages.sh style")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true", help="format the files in place, and make long comments fit")
    options = parser.parse_args()
    files, scripts = cpp_files(), shell_files()
    if options.fix:
        mend(files)
    mode = ["-i"] if options.fix else ["--dry-run", "-Werror"]
    formatted = subprocess.run([tool(*FORMATTERS), "--style=file", *mode, *files], cwd=ROOT, check=False)
    linted = subprocess.run([tool("shellcheck"), "-x", *scripts], cwd=ROOT, check=False) if scripts else None
    if formatted.returncode or linted and linted.returncode:
        print("style: tools/style.py --fix formats the C++ files", file=sys.stderr)
        return 1
    print(f"style: {len(files)} C++ files and {len(scripts)} scripts are as they should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
