#!/usr/bin/env python3
"""Runs the checks of .clang-tidy on changed files, or on all; what passed is not checked again until it changes."""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

from source_files import ROOT, source_files

TOOL = "clang-tidy-14"
JOBS = 2
FILE_SECONDS = 180
# What g++ understands and clang does not: precompiled headers of its own format, and a flag that serves ccache.
GCC_ONLY = {"-Winvalid-pch", "-fpch-preprocess"}


def clang_flags(command):
    """The compile flags of a file without the compiler, the output, and what only g++ understands."""
    words, kept = iter(shlex.split(command)), []
    for word in words:
        if word.endswith("c++") or word.endswith("g++"):
            kept.clear()
        elif word in ("-o", "-c", "-x", "-MF", "-MT", "-MQ"):
            next(words)
        elif word == "-include":
            header = next(words)
            kept += [] if "cmake_pch" in header else [word, header]
        elif word not in GCC_ONLY and not word.startswith(("-fsanitize", "-M", "-Werror")):
            kept.append(word)
    return kept + ["-Wno-unknown-warning-option", "-w"]


def wanted_files(build, changed_only):
    """(file, flags) of our sources in the compile commands; only those changed against main when so asked."""
    commands = build / "compile_commands.json"
    if not commands.exists():
        sys.exit(f"clang_tidy: no {commands}: cmake --preset dev")
    ours = {ROOT / path for path in source_files() if path.suffix == ".cpp"}
    if changed_only:
        ours &= changed_files()
    entries = json.loads(commands.read_text(encoding="utf-8"))
    return [(pathlib.Path(entry["file"]), clang_flags(entry["command"])) for entry in entries
            if pathlib.Path(entry["file"]) in ours]


def changed_files():
    """Sources that differ from main, committed or not. A changed header asks for --all."""
    names = set()
    for command in (["git", "diff", "--name-only", "main...HEAD"], ["git", "status", "--porcelain", "--no-renames"]):
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        names |= {line.split()[-1] for line in listed.splitlines() if line}
    return {ROOT / name for name in names}


def fingerprint():
    """What a result depends on besides the file itself: the checks, every header of ours, the tool."""
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(subprocess.run([TOOL, "--version"], capture_output=True, check=True).stdout)
    for path in source_files():
        if path.suffix == ".hpp":
            digest.update((ROOT / path).read_bytes())
    return digest.digest()


def check(file, flags, stamp, deadline):
    """(file, 'passed' | 'known' | 'late' | 'failed', output)"""
    if stamp.exists():
        return file, "known", ""
    if time.monotonic() > deadline:
        return file, "late", ""
    command = [TOOL, "--quiet", str(file), "--", *flags]
    try:
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=FILE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return file, "failed", f"more than {FILE_SECONDS} s\n"
    if ran.returncode != 0:
        return file, "failed", ran.stdout + ran.stderr
    stamp.touch()
    return file, "passed", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every source, not only those changed against main")
    parser.add_argument("--build", default="build/dev", type=pathlib.Path, help="folder of compile_commands.json")
    parser.add_argument("--seconds", default=600, type=float, help="start no further file after this time")
    options = parser.parse_args()
    if not shutil.which(TOOL):
        sys.exit(f"clang_tidy: {TOOL} is not installed: tools/install_packages.sh style")
    files = wanted_files(ROOT / options.build, not options.all)
    stamps, common, started = ROOT / "build/clang_tidy", fingerprint(), time.monotonic()
    stamps.mkdir(parents=True, exist_ok=True)
    counts = dict.fromkeys(("passed", "known", "late", "failed"), 0)
    with concurrent.futures.ThreadPoolExecutor(min(JOBS, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(check, file, flags, stamps / hashlib.sha256(
            common + file.read_bytes() + repr(flags).encode()).hexdigest(), started + options.seconds)
            for file, flags in files]
        for job in concurrent.futures.as_completed(jobs):
            file, outcome, output = job.result()
            counts[outcome] += 1
            if outcome == "failed":
                print(f"{file.relative_to(ROOT)}:\n{output}", flush=True)
    print(f"clang_tidy: {len(files)} files in {time.monotonic() - started:.0f} s: {counts['passed']} checked,"
          f" {counts['known']} unchanged since they passed, {counts['failed']} refused")
    if counts["late"]:
        print(f"clang_tidy: {counts['late']} files were NOT checked: {options.seconds:.0f} s were over")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
