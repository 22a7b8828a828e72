"""A small reader of C++ text for tidy.py: blanks comments and strings, pairs braces, finds functions and lambdas."""

import bisect
import re

COMMENT_OR_STRING = re.compile(
    r'R"(?P<mark>[^()\s\\]{0,16})\((?s:.*?)\)(?P=mark)"'
    r"|//[^\n]*"
    r"|/\*(?s:.*?)\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'")

CONTROL = re.compile(r"(?:\b(?:else|do|try|const|noexcept|override|final|mutable)|\))\s*$")
TYPE_HEAD = re.compile(r"^(?:(?:template\b.*?>|export|inline|static|typedef|const|constexpr|requires\b.*?)\s*)*"
                       r"(?:class|struct|union|enum)\b", re.S)
LAMBDA = re.compile(r"(?<![\w\])\[])\[(?!\[)([^\[\]]*)\]\s*(?=[({<]|mutable\b|noexcept\b|->)")


def blank(text):
    """The text with comments and the insides of strings replaced by spaces; lines and columns stay."""
    def spaces(match):
        found = match.group(0)
        hidden = re.sub(r"[^\n]", " ", found)
        return hidden if found.startswith("/") else '"' + hidden[1:-1] + '"'
    return COMMENT_OR_STRING.sub(spaces, text)


def without_directives(text):
    """Blanked text whose preprocessor lines are empty too, so that braces in macros do not count."""
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\(?:\n|.))*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)


class Source:
    """One file: .code is the blanked text, .pairs maps each bracket to its partner (both ways)."""

    def __init__(self, text):
        self.code = without_directives(blank(text))
        self.starts = [0] + [match.end() for match in re.finditer("\n", self.code)]
        self.pairs, self.parents, self.semicolons, self.blocks = {}, {}, set(), set()
        self._pair()
        self.braces = [start for start in sorted(self.parents) if self.code[start] == "{"]
        for start in self.braces:
            if self._is_block(start):
                self.blocks.add(start)

    def line(self, position):
        return bisect.bisect_right(self.starts, position)

    def before(self, position):
        """The code just before a position, trailing spaces gone."""
        return self.code[max(0, position - 200):position].rstrip()

    def after(self, position):
        """The first character after a position that is not a space."""
        match = re.compile(r"\s*(\S?)").match(self.code, position + 1)
        return match.group(1)

    def _pair(self):
        opened = []
        for match in re.finditer(r"[(){}\[\];]", self.code):
            char, at = match.group(0), match.start()
            if char in "({[":
                self.parents[at] = opened[-1] if opened else None
                opened.append(at)
            elif char == ";":
                self.semicolons.update(opened[-1:])
            elif opened:
                start = opened.pop()
                self.pairs[start], self.pairs[at] = at, start

    def _is_block(self, start):
        """Whether a brace opens statements or declarations rather than a list of values. Outer braces come first."""
        before, parent = self.before(start), self.parents[start]
        if start in self.semicolons or CONTROL.search(before):
            return True
        if before.endswith("]"):
            bracket = self.pairs.get(self.code.rindex("]", 0, start), 0)
            return not re.search(r"[\w\])]$", self.code[:bracket][-1:])
        head = self.head(start)
        if "->" in head.rsplit(")", 1)[-1]:
            return True
        if parent is not None and parent not in self.blocks:
            return False
        if not before or before[-1] in ";{}:":
            return True
        return bool(TYPE_HEAD.match(head) or re.match(r"(?:inline\s+)?namespace\b|extern\b", head))

    def head_start(self, start):
        """Where the statement that leads to a position begins: after the last ; or block brace around it."""
        at = start - 1
        while at >= 0:
            char = self.code[at]
            if char in ")]" and at in self.pairs:
                at = self.pairs[at]
            elif char == "}":
                partner = self.pairs.get(at)
                if partner is None or self.after(at) not in tuple(",({.)"):
                    break
                if self.after(at) == "{" and not re.search(r"[\w>]$", self.before(partner)):
                    break
                at = partner
            elif char in ";{(":
                break
            at -= 1
        return at + 1

    def head(self, start):
        return self.code[self.head_start(start):start].strip()

    def functions(self):
        """(first line, last line, head) of each function body that is not inside another one."""
        found, inside = [], -1
        for start in self.braces:
            if start < inside or start not in self.blocks or start not in self.pairs:
                continue
            head = self.head(start)
            if "(" not in head or TYPE_HEAD.match(head) or self.after(self.pairs[start]) in tuple(",{"):
                continue
            if is_initializer(head) and not LAMBDA.search(head):
                continue
            first = self.code.index(head[0], self.head_start(start))
            inside = self.pairs[start]
            found.append((self.line(first), self.line(inside), " ".join(head.split())))
        return found

    def lambdas(self):
        """(position, captures, body) of each lambda; body is the position of its brace."""
        for match in LAMBDA.finditer(self.code):
            body = re.compile(r"[^;{}]*?\{").match(self.code, match.end())
            if body:
                yield match.start(), match.group(1).strip(), body.end() - 1

    def in_control(self, closing):
        """Whether a closing parenthesis ends the head of if, for, while or switch."""
        opening = self.pairs.get(closing, closing)
        return bool(re.search(r"\b(?:if|if constexpr|for|while|switch)$", self.before(opening)))

    def expression(self, at):
        """(start, end) of the full expression around a position, with its brace lists and lambda bodies."""
        return self._expression_start(at), self._expression_end(at)

    def _expression_start(self, at):
        while at > 0 and self.code[at - 1] != ";":
            here = at - 1
            char, partner = self.code[here], self.pairs.get(here, here)
            if char == "{" and here in self.blocks:
                break
            if char == ")" and self.in_control(here):
                break
            if char == "}" and partner in self.blocks and self.after(here) not in tuple(",()"):
                break
            at = min(partner, here) if char in ")]}" else here
        return at

    def _expression_end(self, at):
        while at < len(self.code) and self.code[at] != ";":
            char, partner = self.code[at], self.pairs.get(at, at)
            if char == "}" and partner in self.blocks or char == ")" and self.in_control(at):
                break
            if char == "{" and at in self.blocks and self.after(partner) not in tuple(",()"):
                break
            at = partner + 1 if char in "({[" else at + 1
        return at

    def lists_in(self, start, end):
        """The brace lists of an expression, those inside lambda bodies left out."""
        skipped = start
        for brace in self.braces:
            if skipped <= brace < end:
                if brace in self.blocks:
                    skipped = self.pairs.get(brace, brace)
                else:
                    yield brace


def is_initializer(head):
    """Whether the text before a brace assigns a value: table = {...}; default arguments do not count."""
    plain, before = re.sub(r"operator\s*[^\s(]+", "operator", head), None
    while plain != before:
        before, plain = plain, re.sub(r"\([^()]*\)|<[^<>]*>", "", plain)
    return bool(re.search(r"(?<![=!<>])=(?!=)", plain))
