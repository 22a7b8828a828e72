#!/usr/bin/env python3
"""Refuses includes that point the wrong way: between layers, between folders of a layer, and to outside headers."""

import pathlib
import re
import sys

from source_files import ROOT, source_files

# Each layer may include itself, what stands here for it, and nothing else of ours.
MAY_INCLUDE = {
    "base": (),
    "wire": ("base",),
    "net": ("base", "wire"),
    "channels": ("base", "wire", "net"),
    "db": ("base", "wire", "net"),
    "jobs": ("base", "wire", "net", "channels", "db"),
    "web": ("base", "wire", "net", "channels"),
    "testing": ("base", "wire", "net", "channels", "web"),
    "admin": ("base", "wire", "net", "channels", "db", "jobs", "web"),
    "app": ("base", "wire", "net", "channels", "db", "jobs", "web", "admin"),
}

# Outside headers by the start of their name, and where they may appear; the longest start that fits decides.
MAY_USE = {
    "boost/asio": ("src/wire/http/",),
    "boost/beast": ("src/wire/http/",),
    "boost/json": ("src/wire/",),
    "boost/": ("src/wire/",),
    "hiredis": ("src/wire/",),
    "cctz/": ("src/wire/",),
    "zlib.h": ("src/wire/",),
    "openssl/": ("src/wire/", "src/net/"),
    "sys/epoll.h": ("src/net/",),
    "sys/socket.h": ("src/net/",),
    "sys/un.h": ("src/net/",),
    "netinet/": ("src/net/",),
    "arpa/": ("src/net/",),
    "netdb.h": ("src/net/",),
    "sqlite3.h": ("src/db/",),
    "soci/": ("src/db/",),
    "libpq-fe.h": ("src/db/",),
    "postgresql/": ("src/db/",),
    "amqp": ("src/jobs/",),
    "rabbitmq-c/": ("src/jobs/",),
    "spdlog/": ("src/app/",),
    "CLI/": ("src/app/",),
    "toml++/": ("src/app/",),
    "prometheus/": ("src/app/",),
    "kainjow/": ("showcase/",),
    "xxhash.h": ("showcase/",),
    "fmt/": ("src/", "include/carillon/", "showcase/", "bench/"),
    "sys/": ("src/", "showcase/", "bench/"),
    "sanitizer/": ("src/", "fuzz/"),
    "doctest/": ("cmake/",),
    "benchmark/": ("bench/",),
    "nlohmann/": (),
}

# Headers of the C library and the compiler that any layer may use; the standard ones of C++ have no dot.
SYSTEM = {"cxxabi.h", "dirent.h", "errno.h", "execinfo.h", "fcntl.h", "fnmatch.h", "limits.h", "poll.h", "pthread.h",
          "pwd.h", "sched.h", "signal.h", "spawn.h", "stdlib.h", "string.h", "strings.h", "termios.h", "time.h",
          "unistd.h"}

# What only a test may add: its framework, and independent clients to test against.
TESTS_MAY_USE = ("doctest/", "boost/", "openssl/", "zlib.h", "sys/", "netinet/", "arpa/", "netdb.h", "fmt/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def is_test(path):
    return path.name.endswith(("_test.cpp", "_test.hpp", "_bench.cpp")) or path.parts[0] in ("tests", "fuzz", "bench")


def place(path):
    """(area, folder) of a file: a layer and the folder inside it, or showcase and its folder, or (None, None)."""
    parts = path.parts
    if parts[:2] == ("include", "carillon"):
        parts = ("src",) + parts[2:] if len(parts) > 3 else ("src", "app") + parts[2:]
    if parts[0] == "src" and len(parts) > 2:
        return parts[1], "/".join(parts[2:-1]) or "."
    if parts[0] == "showcase":
        return "showcase", "/".join(parts[1:-1]) or "."
    return None, None


def resolve(path, mark, name, known):
    """The file of ours that an include names, or None when it is an outside header."""
    target = pathlib.PurePosixPath("include" if mark == "<" else "src") / name
    if mark == "<":
        return target if name.startswith("carillon/") else None
    near = [target, pathlib.PurePosixPath(path.parts[0]) / name, pathlib.PurePosixPath(name)]
    return next((candidate for candidate in near if candidate in known), target)


def refuse_ours(path, target, known):
    """Why a file may not include another one of ours, or None."""
    area, _ = place(path)
    wanted, _ = place(target)
    if target not in known:
        return "no such file: public headers are <carillon/...>, private ones are named from src/"
    if path.parts[0] == "include" and target.parts[0] != "include":
        return "a public header includes public headers only"
    if is_test(target) and not is_test(path):
        return "only tests include test files"
    if wanted == "showcase" and area != "showcase" and not is_test(path):
        return "the library knows nothing of the showcase"
    if area == "showcase" and wanted != "showcase" and target.parts[0] != "include" and not is_test(path):
        return "the showcase includes public headers and its own files only"
    if area in MAY_INCLUDE and wanted in MAY_INCLUDE and wanted != area and wanted not in MAY_INCLUDE[area]:
        return f"{area} may include {', '.join((area,) + MAY_INCLUDE[area])}; not {wanted}"
    return None


def refuse_outside(path, name):
    """Why a file may not include a header from outside, or None. Standard headers have neither dot nor slash."""
    start = max((known for known in MAY_USE if name.startswith(known)), key=len, default=None)
    if start is None:
        plain = name in SYSTEM or "/" not in name and "." not in name
        return None if plain else "not in the table of outside headers (tools/check_layers.py, docs/dependencies.md)"
    if str(path).startswith(MAY_USE[start]) or path.parts[0] in ("tests", "fuzz", "bench"):
        return None
    if is_test(path) and start.startswith(TESTS_MAY_USE):
        return None
    return f"{start} may be used in {', '.join(MAY_USE[start]) or 'nothing'} only"


def cycles(edges):
    """Pairs of folders of one area that reach each other; edges maps (area, from, to) to the first place seen."""
    reach = {}
    for area, start, end in edges:
        reach.setdefault((area, start), set()).add((area, end))
    grown = True
    while grown:
        grown = False
        for node, ends in reach.items():
            more = set().union(*(reach.get(end, set()) for end in ends)) - ends
            grown = grown or bool(more)
            ends |= more
    return [(seen, f"folders {start} and {end} of {area} include each other")
            for (area, start, end), seen in sorted(edges.items())
            if (area, start) in reach.get((area, end), set())]


def check(root):
    """All that is wrong below root, as lines 'file:line: what (rule)'."""
    root = pathlib.Path(root)
    files = [path for path in source_files(root) if path.suffix in (".hpp", ".cpp", ".h")]
    known, found, edges = set(files), [], {}
    for path in files:
        area, folder = place(path)
        if area is not None and area != "showcase" and area not in MAY_INCLUDE:
            found.append(f"{path}:1: {area} is not a layer")
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = resolve(path, *match.groups(), known)
            why = refuse_ours(path, target, known) if target else refuse_outside(path, match.group(2))
            if why:
                found.append(f"{path}:{number}: {match.group(2)} ({why})")
            # Nobody includes a main.cpp: it composes, and closes no cycle.
            inside = target and area and place(target)[0] == area and place(target)[1] != folder
            if inside and not is_test(path) and path.name != "main.cpp":
                edges.setdefault((area, folder, place(target)[1]), f"{path}:{number}")
    return found + [f"{seen}: {why}" for seen, why in cycles(edges)]


def main():
    found = check(sys.argv[1] if len(sys.argv) > 1 else ROOT)
    print("\n".join(found) if found else "layers: all includes follow the table")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
