#!/usr/bin/env python3
"""The house rules that no compiler checks: lengths, the g++ 12 coroutine rule, banned calls, purposes, plain text."""

import ast
import pathlib
import re
import sys

from cpp_text import Source, blank
from source_files import ROOT, source_files

CODE_COLUMNS, COMMENT_COLUMNS = 100, 120
FUNCTION_LINES, FILE_LINES, HEADER_LINES = 80, 600, 300

CPP, HEADER = (".cpp", ".hpp", ".h"), (".hpp", ".h")
SCRIPT_CODE = (".py", ".ts", ".tsx", ".mjs", ".js", ".sh", ".css")
TEXT = CPP + SCRIPT_CODE + (".md", ".cmake", ".txt", ".toml", ".html", ".svg", ".yml", ".clang-tidy")
DOT_FILES = (".clang-format", ".editorconfig", ".gitignore")
GENERATED = ("package-lock.json", "LICENSE")
DATA = re.compile(r"^(?:fuzz/corpus|tests/data|.*/testdata)/")

# Pattern, reason, and whether a path is exempt.
BANNED = (
    (r"\b(?:strcpy|strcat|sprintf|vsprintf|gets)\s*\(", "writes without a bound", None),
    (r"\b(?:rand|srand)\s*\(", "not random: use <random> or OpenSSL", None),
    (r"\b(?:atoi|atol|atoll|atof)\s*\(", "cannot report bad input: use from_chars", None),
    # SQLite's busy handler must wait for another process, and no event tells when that one is done; some tests, too.
    (r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\s*\(|(?<![\w.>:])sleep\s*\(", "sleeps: await the event",
     r"^src/(?:db/sqlite\.cpp|base/test_polling\.hpp)$"),
    (r"\bstd::w?regex\b", "slow and recursive; only routes may use it", r"^src/web/(?:pattern|rout)"),
    # The system's look-up of a name cannot be interrupted, and may take longer than a stopping server has.
    (r"\.detach\s*\(\)", "nobody joins a detached thread", r"^src/net/resolver\.cpp$"),
)
UNFINISHED = re.compile(r"\b(?:TO" "DO|FIX" "ME|XX" "X|HA" "CK)\\b")
SUPPRESSION = re.compile(r"NO" "LINT|clang-format of" "f|no" "qa|eslint-dis" "able|@ts-ig" "nore|pyli" "nt:")
CATCH_ALL = re.compile(r"\bcatch\s*\(\s*\.\.\.\s*\)\s*(?=\{)")
PASSES_ON = re.compile(r"\bthrow\b|current_exception|\babort\b|\bterminate\b|unhandled_exception")
PYTHON_SLEEP = re.compile(r"\btime\.sleep\s*\(")
RETHROWN = re.compile(r"\brethrow_exception\b")
POLLING_HELPER = "tests/scenarios/carillon_process.py"


def lines_of_text(path, text):
    """Rules for every text file: no tabs, no trailing blanks, one last newline, no unfinished work."""
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line:
            yield number, "a tab"
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if UNFINISHED.search(line):
            yield number, "unfinished work: finish it, or open an issue"
        if SUPPRESSION.search(line):
            yield number, "a suppressed check: mend the code instead"
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        yield text.count("\n") + 1, "the file ends in exactly one newline"


def line_lengths(path, text):
    """Code up to 100 columns, comments (trailing ones too) up to 120; addresses and includes are never broken."""
    coded = blank(text).splitlines() if path.suffix in CPP else []
    for number, line in enumerate(text.splitlines(), 1):
        if "://" in line or re.match(r"\s*#\s*include", line):
            continue
        code = len(coded[number - 1].rstrip()) if coded else 0
        if code > CODE_COLUMNS:
            yield number, f"{code} columns of code, at most {CODE_COLUMNS}"
        elif len(line) > COMMENT_COLUMNS:
            yield number, f"{len(line)} columns, at most {COMMENT_COLUMNS}"


def file_length(path, text):
    bound = HEADER_LINES if path.suffix in HEADER else FILE_LINES
    count = text.count("\n")
    if count > bound:
        yield bound + 1, f"{count} lines, at most {bound}"


def purpose(path, text):
    """Headers and scripts say their one purpose first; headers are guarded."""
    lines = text.splitlines() or [""]
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    marks = {".py": '"""', ".hpp": "//", ".h": "//", ".cmake": "#", ".mjs": "//", ".sh": "#", "": "#"}
    mark = marks.get(path.suffix)
    if mark and not (first.startswith(mark) and len(first.strip(mark + " ")) > 8):
        yield 1, f"the file begins with its purpose, in a comment ({mark})"
    if path.suffix in HEADER and "#pragma once" not in lines:
        yield 1, "no #pragma once"


def banned_calls(path, source):
    for pattern, why, exempt in BANNED:
        if exempt and re.search(exempt, str(path)):
            continue
        for match in re.finditer(pattern, source.code):
            yield source.line(match.start()), f"{match.group(0).strip()} {why}"


def first_of_chain(source, at):
    """Where the try block begins that a catch belongs to."""
    before = source.before(at)
    while before.endswith("}"):
        at = source.pairs.get(source.code.rindex("}", 0, at), 0)
        before = source.before(at)
        if before.endswith(")"):
            closing = source.code.rindex(")", 0, at)
            at = source.code.rindex("catch", 0, source.pairs.get(closing, closing))
            before = source.before(at)
    return at


def swallowed(path, source):
    """What translates an exception for a boundary rethrows it first, and may end in catch (...)."""
    for match in CATCH_ALL.finditer(source.code):
        end = source.pairs.get(match.end(), match.end())
        start = first_of_chain(source, match.start())
        translated = RETHROWN.search(source.code, start, match.start())
        if not translated and not PASSES_ON.search(source.code, match.end(), end):
            yield source.line(match.start()), "catch (...) that swallows: pass it on, or name what is caught"


def awaiting_expressions(path, source):
    """g++ 12 destroys such temporaries twice, or refuses them; docs/decisions/0002-own-task-type.md."""
    for match in re.finditer(r"\bco_(?:await|yield)\b", source.code):
        start, end = source.expression(match.start())
        if any(True for _ in source.lists_in(start, end)):
            yield source.line(match.start()), "co_await in an expression with braces: name the value first (g++ 12)"
        if any(start <= at < end and captures for at, captures, _ in source.lambdas()):
            yield source.line(match.start()), "co_await beside a capturing lambda: name the lambda first (g++ 12)"


def lambda_coroutines(path, source):
    """The captures of a lambda die with the lambda object, which a suspended coroutine outlives."""
    bodies = [(at, captures, body, source.pairs.get(body, body)) for at, captures, body in source.lambdas()]
    for match in re.finditer(r"\bco_(?:await|return|yield)\b", source.code):
        around = [entry for entry in bodies if entry[2] < match.start() < entry[3]]
        innermost = max(around, key=lambda entry: entry[2], default=None)
        if innermost and innermost[1]:
            yield source.line(innermost[0]), "a lambda coroutine with captures: pass them as parameters"


def cpp_functions(path, source):
    for first, last, head in source.functions():
        if last - first + 1 > FUNCTION_LINES:
            yield first, f"{last - first + 1} lines, at most {FUNCTION_LINES} a function: {head[:60]}"


CPP_RULES = (banned_calls, swallowed, awaiting_expressions, lambda_coroutines, cpp_functions)


def python_rules(path, text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            count = node.end_lineno - node.lineno + 1
            if count > FUNCTION_LINES:
                yield node.lineno, f"{count} lines, at most {FUNCTION_LINES} a function: {node.name}"
    if path.parts[0] == "tests" and str(path) != POLLING_HELPER:
        for match in PYTHON_SLEEP.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, f"sleeps: use wait_until of {POLLING_HELPER}"


def is_script(root, path):
    """A file without a suffix that starts with #!."""
    if path.suffix or path.name.startswith("."):
        return False
    with open(root / path, "rb") as file:
        return file.read(2) == b"#!"


def rules_for(root, path):
    """The checks of one file as (check, wants a parsed Source)."""
    if path.name in GENERATED or DATA.match(str(path)):
        return []
    script = is_script(root, path)
    if not script and not str(path).endswith(TEXT) and path.name not in DOT_FILES:
        return []
    chosen = [(lines_of_text, False)]
    if path.suffix in CPP + SCRIPT_CODE or script:
        chosen += [(line_lengths, False), (file_length, False)]
    if path.suffix in HEADER + (".py", ".cmake", ".mjs", ".sh") or script:
        chosen.append((purpose, False))
    if path.suffix == ".py":
        chosen.append((python_rules, False))
    if path.suffix in CPP:
        chosen += [(rule, True) for rule in CPP_RULES]
    return chosen


def check(root, paths=None):
    """All that is wrong below root, as lines 'file:line: what'."""
    root, found = pathlib.Path(root), []
    for path in paths or source_files(root):
        rules = rules_for(root, path)
        if not rules:
            continue
        text = (root / path).read_text(encoding="utf-8")
        source = Source(text) if path.suffix in CPP else None
        for rule, parsed in rules:
            seen = sorted(set(rule(path, source if parsed else text)))
            found += [f"{path}:{number}: {what}" for number, what in seen]
    return found


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    found = check(root)
    print("\n".join(found) if found else f"tidy: {len(source_files(root))} files follow the house rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
