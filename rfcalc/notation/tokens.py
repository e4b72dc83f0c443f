"""Tokens of the notation, one at a time, each with its span, and errors that point at them.

A word may contain expressions in parentheses and texts in quotes that are attached to it: ``conv3-(64*2**i)``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rfcalc.core.errors import NotationError

LONGEST = 20_000_000

_NEST = r"[^()\n]*"
for _ in range(6):  # expressions in parentheses, nested
    _NEST = rf"[^()\n]*(?:\({_NEST}\)[^()\n]*)*"
_STRING = r'"(?:[^"\\\n]|\\[^\n])*"'
_PLAIN = r'(?!->|=>)[^\s>|+*(){}\[\],;=~@"#→]'
_SPACE = re.compile(r"(?:\s++|#[^\n]*+)*+")
_TOKEN = re.compile(
    rf"(?P<string>{_STRING})|(?P<sign>>>|->|=>|[>→|+*(){{}}\[\],;=~@])"
    rf"|(?P<keyword>(?:side|series)(?=\())|(?P<word>{_PLAIN}(?:{_PLAIN}|\({_NEST}\)|{_STRING}|,(?=\d))*)"
)
_SAME = {"→": ">", ">>": ">", "->": ">", "=>": ">"}


class Token(NamedTuple):
    """A piece of the text: `kind` is ``word``, ``string``, ``keyword``, the sign itself, or ``end``."""

    kind: str
    text: str
    start: int
    end: int


class Tokens:
    """Reads a text token by token; `now` is the next one that nobody has taken."""

    __slots__ = ("now", "text")

    def __init__(self, text: str, at: int = 0) -> None:
        if len(text) > LONGEST:
            raise NotationError(f"a text of {len(text):,} characters is too long", why=f"the limit is {LONGEST:,}")
        self.text = text
        self.now = self._read(at)

    def _read(self, at: int) -> Token:
        match = _SPACE.match(self.text, at)
        at = match.end() if match else at
        if at >= len(self.text):
            return Token("end", "", at, at)
        found = _TOKEN.match(self.text, at)
        if found is None:
            what = "this text in quotes does not end on its line" if self.text[at] == '"' else "this cannot stand here"
            raise fault(self.text, at, at + 1, what, 'write texts in quotes like "block 1"')
        kind = found.lastgroup or "word"
        text = found[0]
        if kind == "sign":
            kind = text = _SAME.get(text, text)
        return Token(kind, text, at, found.end())

    def take(self) -> Token:
        """The next token; it is taken."""
        token = self.now
        self.now = self._read(token.end)
        return token

    def touching(self) -> str:
        """The character that follows the next token without a space; an arrow's is its head."""
        at = self.now.end
        return ">" if self.text.startswith("=>", at) else self.text[at : at + 1]

    def after(self) -> str:
        """The first character after the next token and the space behind it; an arrow's is its head."""
        match = _SPACE.match(self.text, self.now.end)
        at = match.end() if match else self.now.end
        return ">" if self.text.startswith("=>", at) else self.text[at : at + 1]


def fault(text: str, start: int, end: int, what: str, fix: str | None = None, why: str | None = None) -> NotationError:
    """An error at a span: the line, a caret under it, and what to do."""
    start = min(start, len(text))
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    column = start - line_start
    left = max(0, column - 50)
    shown = line[left : left + 76].replace("\t", " ")
    carets = "^" * max(1, min(end - start, len(line) - column, 76 - (column - left)))
    lines = [shown, " " * (column - left) + carets, *([why] if why else [])]
    number = text.count("\n", 0, start) + 1
    return NotationError(what, where=f"line {number}, column {column + 1}", why="\n".join(lines), fix=fix)
