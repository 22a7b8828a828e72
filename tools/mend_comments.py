"""Makes long comments fit: style.py --fix wraps whole-line comments and lifts long trailing ones above their line."""

import re

from cpp_text import blank

CODE_COLUMNS, COMMENT_COLUMNS, BANNER_COLUMNS = 100, 120, 100
BANNER = re.compile(r"(-{8,}|={8,})$")
# What starts a paragraph of its own and is not joined to the line before: list items, tables, indented text.
OWN_LINE = re.compile(r"//(?:$|\s{2,}|\s*[-*|+] |\s*\d+[.)] )")


def comment_start(line, blanked):
    """Where the // comment of a line begins, or None; the blanked line is empty from there on."""
    code = len(blanked.rstrip())
    match = re.compile(r"\s*(?=//)").match(line, code)
    return match.end() if match else None


def wrap(line, indent, following):
    """A comment line cut at the last blank that fits; the rest goes in front of the following line of its paragraph."""
    if BANNER.search(line):
        return line[:BANNER_COLUMNS].rstrip(), following
    cut = line.rfind(" ", len(indent) + 4, COMMENT_COLUMNS + 1)
    if cut < 0:
        return line, following
    rest = line[cut + 1:]
    joined = following and following[0].startswith(indent + "// ") and not OWN_LINE.match(following[0].strip())
    if joined:
        return line[:cut], [f"{indent}// {rest} {following[0].strip()[3:]}", *following[1:]]
    return line[:cut], [f"{indent}// {rest}", *following]


def is_continuation(lines, blanked, at):
    """Whether a line holds nothing but a comment that goes on from a trailing comment above it."""
    if not 0 < at < len(lines) or blanked[at].strip():
        return False
    start = comment_start(lines[at], blanked[at])
    if start is None or start != comment_start(lines[at - 1], blanked[at - 1]):
        return False
    return bool(blanked[at - 1].strip()) or is_continuation(lines, blanked, at - 1)


def lifted(lines, blanked):
    """Lines in which a trailing comment that ends beyond the code's columns stands above its code."""
    out, at = [], 0
    while at < len(lines):
        line, start = lines[at], comment_start(lines[at], blanked[at])
        code = blanked[at].strip()
        # As if one blank stood between them: the formatter aligns comments by itself.
        width = len(blanked[at].rstrip()) + 1 + len(line) - (start or 0)
        long = start is not None and width > CODE_COLUMNS and code and not code.startswith("#")
        end = at + 1
        while long and is_continuation(lines, blanked, end):
            end += 1
        if long:
            indent = re.match(r"\s*", line).group(0)
            words = " ".join(text[comment_start(text, hidden):].lstrip("/").strip()
                             for text, hidden in zip(lines[at:end], blanked[at:end]))
            out += [f"{indent}// {words}", line[:start].rstrip()]
        else:
            out.append(line)
        at = end if long else at + 1
    return out


def mended(text):
    """The text of a C++ file whose comments fit; code is not touched."""
    lines = lifted(text.split("\n"), blank(text).split("\n"))
    out = []
    while lines:
        line, lines = lines[0], lines[1:]
        indent = re.match(r"\s*", line).group(0)
        if len(line) > COMMENT_COLUMNS and line.startswith(indent + "//") and "://" not in line:
            line, lines = wrap(line, indent, lines)
        out.append(line)
    return "\n".join(out)
