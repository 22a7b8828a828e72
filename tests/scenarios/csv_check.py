#!/usr/bin/env python3
"""Compares csv-report with the same figures computed here by Python's csv and statistics modules.

usage: csv_check.py --tool build/dev/bin/csv-report [FILE.csv ...]

Without files: a table of small ones with every delimiter, quoting and newline, files that must fail, and, where they
are installed, the CSV files of the vega-datasets package. Exit status 1 when any figure differs.
"""
import argparse
import csv
import datetime
import glob
import io
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

MISSING = {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "Null", "null", "NaN", "nan"}
INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)$")
NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$")
DATE = re.compile(r"(\d{4})([-/])(\d\d)\2(\d\d)$")
DATETIME = re.compile(r"(\d{4})([-/])(\d\d)\2(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
                      r" ?([Zz]|[+-]\d\d(?::?\d\d)?)?$")
EPOCH = datetime.datetime(1970, 1, 1)
EXACT_VALUES = 10_000


def read_cell(text):
    """(kind, value) of a cell by the rules of docs/reports.md; value is None where it has none."""
    if len(text.encode()) > 200:
        return "text", None
    trimmed = text.strip(" \t")
    if trimmed in MISSING:
        return "missing", None
    match = DATE.match(trimmed)
    if match:
        try:
            day = datetime.datetime(int(match[1]), int(match[3]), int(match[4]))
            return "date", (day - EPOCH).days
        except ValueError:
            return "text", None
    match = DATETIME.match(trimmed)
    if match:
        return read_datetime(match)
    if INTEGER.match(trimmed):
        number = int(trimmed)
        return ("integer", number) if -2**63 <= number < 2**63 else ("number", float(trimmed))
    if NUMBER.match(trimmed):
        number = float(trimmed)
        return ("number", number) if math.isfinite(number) else ("text", None)
    if trimmed.lower() in ("true", "false", "yes", "no"):
        return "boolean", None
    return "text", None


def read_datetime(match):
    try:
        when = datetime.datetime(int(match[1]), int(match[3]), int(match[4]), int(match[5]), int(match[6]))
    except ValueError:
        return "text", None
    seconds = int(match[7] or 0)
    if seconds > 60:
        return "text", None
    seconds += float("0." + match[8]) if match[8] else 0
    zone = match[9]
    if zone and zone not in "Zz":
        digits = zone[1:].replace(":", "")
        hours, minutes = int(digits[:2]), int(digits[2:] or 0)
        if hours > 23 or minutes > 59:
            return "text", None
        seconds -= (60 if zone[0] == "+" else -60) * (hours * 60 + minutes)
    return "datetime", (when - EPOCH).total_seconds() / 86400 + seconds / 86400


def type_of(kinds):
    present = [kind for kind in kinds if kind != "missing"]
    names = set(present)
    for allowed, result in (({"integer"}, "integer"), ({"integer", "number"}, "number"), ({"boolean"}, "boolean"),
                            ({"date"}, "date"), ({"date", "datetime"}, "datetime")):
        if present and names <= allowed:
            return result
    return "text"


def days_of(figure):
    """A number as it is, an ISO text as days since 1970."""
    if not isinstance(figure, str):
        return figure
    text = figure.removesuffix("Z")
    return (datetime.datetime.fromisoformat(text) - EPOCH) / datetime.timedelta(days=1)


class Comparison:
    def __init__(self, label):
        self.label = label
        self.failures = []
        self.figures = 0

    def same(self, what, got, expected):
        self.figures += 1
        if got != expected:
            self.failures.append(f"{self.label}: {what}: got {got!r}, expected {expected!r}")

    def close(self, what, got, expected, tolerance=0.0):
        self.figures += 1
        if got is None or not math.isclose(got, expected, rel_tol=1e-9, abs_tol=max(tolerance, 1e-12)):
            self.failures.append(f"{self.label}: {what}: got {got!r}, expected {expected!r}")


def check_numbers(check, name, column, values):
    dated = column["type"] in ("date", "datetime")
    # Dates are shown to the millisecond.
    tolerance = 0.0006 / 86400 if dated else 0.0
    exact = column["median_is_exact"]
    check.close(f"{name}.min", days_of(column["min"]), min(values), tolerance)
    check.close(f"{name}.max", days_of(column["max"]), max(values), tolerance)
    scale = max(abs(v) for v in values) * 1e-13
    check.close(f"{name}.mean", days_of(column["mean"]), statistics.fmean(values), max(tolerance, scale))
    if len(values) > 1:
        check.close(f"{name}.stddev", column["stddev"], statistics.stdev(values), scale)
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
    else:
        check.same(f"{name}.stddev", column["stddev"], None)
        quartiles = [values[0]] * 3
    ordered = sorted(values)
    for key, expected in zip(("q1", "median", "q3"), quartiles):
        got = days_of(column[key])
        if exact:
            check.close(f"{name}.{key}", got, expected, max(tolerance, scale))
        else:
            share = {"q1": 0.25, "median": 0.5, "q3": 0.75}[key]
            low = ordered[max(0, int((share - 0.01) * len(ordered)))]
            high = ordered[min(len(ordered) - 1, int((share + 0.01) * len(ordered)))]
            check.same(f"{name}.{key} within 1 % of its rank", low <= got <= high, True)
    check.same(f"{name}.bins", sum(b["count"] for b in column["histogram"]), len(values))
    check.same(f"{name}.bins at most 20", 1 <= len(column["histogram"]) <= 20, True)
    for b in column["histogram"]:
        low, high = days_of(b["from"]), days_of(b["to"])
        # The report counts in doubles.
        inside = sum(low <= float(v) < high or float(v) == low == high for v in values)
        if len(values) <= 20_000 and column["type"] != "datetime":
            check.same(f"{name}.bin {b['from']}", b["count"], inside)


def check_column(check, name, column, cells):
    read = [read_cell(cell) for cell in cells]
    present = [cell for cell, (kind, _) in zip(cells, read) if kind != "missing"]
    expected_type = type_of([kind for kind, _ in read])
    check.same(f"{name}.name", column["name"], name)
    check.same(f"{name}.type", column["type"], expected_type)
    check.same(f"{name}.count", column["count"], len(present))
    check.same(f"{name}.missing", column["missing"], len(cells) - len(present))
    distinct = len(set(present))
    if column["distinct_is_exact"]:
        check.same(f"{name}.distinct", column["distinct"], distinct)
    else:
        # Missing spellings share the table, hence the small allowance below the limit.
        check.same(f"{name} has many values", distinct > EXACT_VALUES - 11, True)
        check.same(f"{name}.distinct within 4 %", abs(column["distinct"] - distinct) <= 0.04 * distinct, True)
    counts = {}
    for cell in present:
        counts[cell] = counts.get(cell, 0) + 1
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))[:10]
    if column["top_is_exact"]:
        shown = [{"value": shorten(value), "count": count} for value, count in top]
        check.same(f"{name}.top", column["top"], shown)
    else:
        for entry in column["top"]:
            true_count = counts[entry["value"]]
            right = entry["count"] <= true_count <= entry["count"] + column["top_error"]
            check.same(f"{name}.top {entry['value']!r} within its error", right, True)
    if expected_type == "text" and present:
        check.same(f"{name}.min", column["min"], shorten(min(present, key=str.encode)))
        check.same(f"{name}.max", column["max"], shorten(max(present, key=str.encode)))
    elif expected_type not in ("text", "boolean"):
        check_numbers(check, name, column, [value for _, value in read if value is not None])


def shorten(text):
    data = text.encode()
    return text if len(data) <= 200 else data[:200].decode(errors="ignore") + "…"


def names_of(header):
    names = []
    for i, cell in enumerate(header):
        base = cell.strip() or f"column_{i + 1}"
        name, n = base, 2
        while name in names:
            name, n = f"{base}_{n}", n + 1
        names.append(name)
    return names


def run(tool, path, *options):
    return subprocess.run([tool, *options, path], capture_output=True, text=True, timeout=60)


def check_file(tool, path, label, delimiter, failures):
    check = Comparison(label)
    done = run(tool, path)
    if done.returncode != 0:
        failures.append(f"{label}: csv-report failed: {done.stderr.strip()}")
        return 0
    report = json.loads(done.stdout)
    with open(path, encoding="utf-8-sig", newline="") as text:
        rows = [row for row in csv.reader(text, delimiter=delimiter) if row]
    header, body = rows[0], rows[1:]
    good = [row for row in body if len(row) == len(header)]
    check.same("delimiter", report["delimiter"], delimiter)
    check.same("bytes", report["bytes"], os.path.getsize(path))
    check.same("rows", report["rows"], len(good))
    check.same("bad_rows", report["bad_rows"], len(body) - len(good))
    check.same("columns", len(report["columns"]), len(header))
    for i, (name, column) in enumerate(zip(names_of(header), report["columns"])):
        check_column(check, name, column, [row[i] for row in good])
    for piece in ("1", "7"):
        if os.path.getsize(path) < 100_000:
            check.same(f"pieces of {piece}", run(tool, path, "--piece", piece).stdout, done.stdout)
    failures += check.failures
    return check.figures


def small_files():
    """(label, delimiter, bytes)"""
    table = [["id", "name", "when", "score", "ok", "note"],
             ["1", "Ann", "2024-02-29", "1.5", "true", 'she said "hi"'],
             ["2", "Bo, Jr; x\ty|z", "2024-03-01", "-2e3", "no", "two\nlines"],
             ["3", "", "2024-12-31", "NA", "YES", "cr\r\nlf and \r alone"],
             ["-4", "Zoë", "", ".5", "false", '""'],
             ["5", "Ann", "1999-01-01", "1e-400", "true", " spaces "]]
    for delimiter in ",;\t|":
        for newline in ("\n", "\r\n", "\r"):
            for mark in ("", "\ufeff"):
                text = io.StringIO()
                csv.writer(text, delimiter=delimiter, lineterminator=newline).writerows(table)
                label = f"delimiter {delimiter!r} newline {newline!r} {'BOM' if mark else ''}"
                yield label, delimiter, (mark + text.getvalue()).encode()
    yield "no newline at the end", ",", b"a,b\n1,2\n3,4"
    yield "empty lines between rows", ",", b"\n\na,b\n\n1,2\r\n\r\n3,4\n\n"
    yield "header only", ",", b"a,b,c\n"
    yield "one column", ",", b"value\n1\n2\n\n3\n"
    yield "ragged rows", ",", b"a,b\n1,2\n3\n4,5,6\n7,8\n"
    yield "empty and equal names", ",", b"a,,a,a_2,\n1,2,3,4,5\n"
    yield "quotes in odd places", ",", b'a,b\nx"y,"q"z\n"",""""\n'
    yield "leading zeros, signs, exponents", ",", b"a,b,c,d\n007,+5,1e5,0\n10,-3,2.,0.0\n08,+0,.25,-0\n"
    yield "very large integers", ",", b"a,b\n9223372036854775807,9223372036854775808\n-9223372036854775808,1\n"
    yield "numbers too large", ",", b"a,b\n1e999,1\n1,2\n"
    yield "mixed types", ",", b"a,b,c\n1,2020-01-01,true\n1.5,2020-01-01T12:00:00,1\nx,2020-01-02,no\n"
    yield "datetimes with zones", ",", (b"t\n2020-01-01T00:00:00Z\n2020-01-01 05:30:00.250+05:30\n"
                                        b"2019-12-31T19:00-0500\n1969-12-31T23:59:59.5Z\n")
    yield "impossible dates", ",", b"t\n2023-02-29\n2023-13-01\n2023-00-10\n"
    yield "far from zero and close together", ",", ("v\n" + "".join(f"{10**9 + i % 3}.{i % 10}\n"
                                                                    for i in range(1000))).encode()
    yield "missing spellings", ",", b"a,b\nNA,1\nnull,2\n<NA>,nan\n N/A ,3\n#N/A,NULL\n"
    yield "long texts", ",", ("t\n" + "".join("é" * n + "\n" for n in (99, 100, 101, 150, 5000))).encode()
    yield "one value", ",", b"a,b\n42,2020-05-05\n42,2020-05-05\n"


def large_files(rng):
    """Past the exact limits: estimates, and types that widen late."""
    rows = ["id,x,word,late,when,mixed"]
    for i in range(30_000):
        late = "surprise" if i >= 29_990 else str(i * 3)
        minutes = rng.randrange(500_000)
        when = datetime.datetime(2020, 1, 1) + datetime.timedelta(minutes=minutes)
        word = "common" if rng.random() < 0.2 else f"word{rng.randrange(20_000)}"
        mixed = rng.choice(["NA", "", f"{rng.gauss(0, 1):.7f}", str(i)])
        rows.append(f"{i},{rng.lognormvariate(0, 2):.9g},{word},{late},{when.isoformat()},{mixed}")
    yield "30,000 rows of many values", ",", "\n".join(rows).encode()


FAILING = [("empty", b"", "Line 1"), ("only newlines", b"\n\r\n\n", "empty lines"),
           ("NUL bytes", b"a,b\n1,\x00\n", "Line 2"), ("Latin-1", b"a,b\n1,2\ncaf\xe9,3\n", "Line 3"),
           ("Latin-1 at the end", b"a,b\n1,caf\xe9", "Line 2"), ("open quote", b'a,b\n1,2\n3,"4\n5,6\n', "Line 3"),
           ("UTF-16", "a,b\n1,2\n".encode("utf-16"), "UTF-16"), ("a ZIP archive", b"PK\x03\x04\x14\x00", "ZIP"),
           ("no usable row", b"a,b\n1\n2,3,4\n", "Line 2"), ("too many columns", b"," * 3000 + b"\n", "2048"),
           ("surrogates", b"a\n\xed\xa0\x80\n", "Line 2"), ("overlong", b"a\n\xc0\xaf\n", "Line 2")]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tool", required=True)
    arguments.add_argument("files", nargs="*")
    options = arguments.parse_args()
    csv.field_size_limit(1 << 24)
    failures = []
    figures = files = 0
    paths = options.files
    if not paths:
        root = os.path.join(os.path.dirname(__file__), "..", "..", "js", "node_modules", "vega-datasets", "data")
        paths = sorted(glob.glob(os.path.join(root, "*.csv")))
        if not paths:
            print("skipped: the files of vega-datasets are not installed (npm install in js/)")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file.csv")
        if not options.files:
            for label, delimiter, data in [*small_files(), *large_files(random.Random(7))]:
                with open(path, "wb") as out:
                    out.write(data)
                figures += check_file(options.tool, path, label, delimiter, failures)
                files += 1
            for label, data, needle in FAILING:
                with open(path, "wb") as out:
                    out.write(data)
                done = run(options.tool, path)
                figures += 1
                files += 1
                if done.returncode != 1 or needle not in done.stderr:
                    failures.append(f"{label}: must fail with {needle!r}: {done.returncode} {done.stderr!r}")
        for real in paths:
            figures += check_file(options.tool, real, os.path.basename(real), ",", failures)
            files += 1
    for failure in failures:
        print("FAIL", failure)
    print(f"{files} files, {figures} figures compared, {len(failures)} differ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
