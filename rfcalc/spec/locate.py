"""Where in a TOML or JSON text a field stands, for messages: the line of the nearest place that can be found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

Path: TypeAlias = "tuple[str | int, ...]"

_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=\s*(.*)$")
_TABLE = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")
_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def field(path: Path) -> str:
    """A path as text: ``layers[3].kernel``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def line_of(text: str, form: str, path: Path) -> int | None:
    """The line of the field, or of what holds it; None where nothing of it is found."""
    places = _toml(text) if form == "toml" else _json(text)
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None


def _parts(key: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(key)]


def _toml(text: str) -> dict[Path, int]:
    """Lines of tables and of keys at the beginning of a line; texts over several lines are passed over."""
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    closing = ""
    for number, line in enumerate(text.split("\n"), 1):
        if closing:
            if closing in line:
                closing = ""
            continue
        head = _TABLE.match(line)
        if head and "=" not in line.split("#")[0]:
            table = tuple(_parts(head[2]))
            # a table inside the last element of an array of tables
            table = _inside(table, counts)
            if head[1] == "[[":
                count = counts[table] = counts.get(table, -1) + 1
                places.setdefault(table, number)
                table = (*table, count)
            places.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            places.setdefault((*table, *_parts(key[1])), number)
            for quotes in ('"""', "'''"):
                if key[2].startswith(quotes) and quotes not in key[2][3:]:
                    closing = quotes
    return places


def _inside(table: Path, counts: dict[Path, int]) -> Path:
    found: Path = ()
    for i, part in enumerate(table):
        found = (*found, part)
        if found in counts and i < len(table) - 1:
            found = (*found, counts[found])
    return found


def _json(text: str) -> dict[Path, int]:
    """Lines of every key and list element."""
    places: dict[Path, int] = {}
    stack: list[list[str | int]] = []  # for each open bracket: the key or index that comes
    kinds: list[str] = []
    line, at = 1, 0
    tokens: Sequence[re.Match[str]] = list(_JSON.finditer(text))
    for i, token in enumerate(tokens):
        line += text.count("\n", at, token.start())
        at = token.start()
        sign = token[0]
        if sign in ("{", "["):
            _note(places, stack, kinds, line)
            kinds.append(sign)
            stack.append(["" if sign == "{" else 0])
        elif sign in ("}", "]"):
            if stack:
                stack.pop()
                kinds.pop()
        elif sign == ",":
            if kinds and kinds[-1] == "[":
                stack[-1][0] = int(stack[-1][0]) + 1
        elif sign.startswith('"') and kinds and kinds[-1] == "{" and i + 1 < len(tokens) and tokens[i + 1][0] == ":":
            stack[-1][0] = sign[1:-1]
            places.setdefault(tuple(s[0] for s in stack), line)
        elif sign != ":":
            _note(places, stack, kinds, line)
    return places


def _note(places: dict[Path, int], stack: list[list[str | int]], kinds: list[str], line: int) -> None:
    if kinds and kinds[-1] == "[":
        places.setdefault(tuple(s[0] for s in stack), line)
