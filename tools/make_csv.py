#!/usr/bin/env python3
"""Writes a CSV file of a given size: seeded, fast, with the columns of an ordinary export.

usage: make_csv.py SIZE FILE [--seed N]        SIZE like 200k, 50M, 1G

Rows are made by the block: texts, categories and dates of a block are drawn once and repeat, identifiers and amounts
differ in every row, so that a gigabyte takes seconds and still has columns of all-different values.
"""
import argparse
import random
import sys

HEADER = "id,day,at,station,customer,amount,quantity,score,paid,comment\r\n"
STATIONS = ["Tromsø", "Zürich", "Porto", "Gdańsk", "Seattle", "München", "Reykjavík", "Łódź"]
WORDS = "late early north south harbour bridge repair routine inspection delivered returned open closed".split()
BLOCK_ROWS = 4096
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size_of(text):
    unit = UNITS.get(text[-1].lower())
    return int(float(text[:-1]) * unit) if unit else int(text)


def comment(rng):
    words = " ".join(rng.choices(WORDS, k=rng.randint(1, 9)))
    kind = rng.random()
    if kind < 0.05:
        return ""
    if kind < 0.15:
        return f'"{words}\n{rng.choice(WORDS)}, ""{rng.choice(WORDS)}"""'
    if kind < 0.30:
        return f'"{words}, {rng.choice(WORDS)}"'
    return words


def template_row(rng):
    """One row with two places for %d: the identifier, and cents that vary with the block."""
    day = f"{rng.randint(2015, 2025)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    at = f"{day}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}Z"
    amount = "NA" if rng.random() < 0.01 else f"{int(rng.lognormvariate(4, 1))}.%02d"
    return ",".join([
        "%d", day, at, rng.choices(STATIONS, weights=range(len(STATIONS), 0, -1))[0],
        f"C{rng.randrange(50_000):05}", amount, str(rng.randint(1, 12)),
        f"{rng.gauss(0, 1):.6f}", rng.choice(["true", "false"]), comment(rng),
    ]) + "\r\n"


def block(rng, rows):
    return [template_row(rng) for _ in range(rows)]


def write(path, size, seed):
    rng = random.Random(seed)
    templates = []
    written = 0
    next_id = 1
    with open(path, "wb") as out:
        written += out.write(HEADER.encode())
        while written < size:
            # Eight blocks take turns: enough for the sketches of the report, quick to make.
            if len(templates) < 8:
                rows = block(rng, BLOCK_ROWS)
                has_amount = ["%02d" in row for row in rows]
                templates.append(("".join(rows), has_amount))
            text, has_amount = templates[(next_id // BLOCK_ROWS) % len(templates)]
            values = []
            cents = rng.randrange(100)
            for i, amount in enumerate(has_amount):
                values.append(next_id + i)
                if amount:
                    values.append((cents + i * 37) % 100)
            data = (text % tuple(values)).encode()
            if written + len(data) > size:
                data = data[:data.rfind(b"\r\n", 0, max(size - written, 0)) + 2]
                # A cut inside a quoted cell would make the file unreadable.
                while data.count(b'"') % 2:
                    data = data[:data.rfind(b"\r\n", 0, len(data) - 2) + 2]
                written = size if not data else written + len(data)
                out.write(data)
                break
            written += out.write(data)
            next_id += BLOCK_ROWS
    return written


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("size")
    arguments.add_argument("file")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    write(options.file, size_of(options.size), options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
