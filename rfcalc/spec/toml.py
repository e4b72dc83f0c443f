"""TOML as specs and claims have it: Python's own reader, behind a guard against names that it takes minutes for."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from rfcalc.core.errors import RfcalcError

MOST_PARTS = 100  # of a dotted name
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_DEEP = re.compile(rf"(?:^|[\[{{,])[ \t]*+{_PART}(?:\.[ \t]*+{_PART}){{{MOST_PARTS},}}", re.MULTILINE)


def tables(text: str, source: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Args:
        source: what messages call it.

    Raises:
        RfcalcError: a dotted name has more than `MOST_PARTS` parts (the time to read it grows with their square), or
            values are nested too deeply.
        tomllib.TOMLDecodeError: it is not TOML.

    >>> tables('a.b = 1', "example")
    {'a': {'b': 1}}
    """
    deep = _DEEP.search(text)
    if deep is not None:
        line = text.count("\n", 0, deep.end()) + 1
        raise RfcalcError(
            "the name of a table or field is nested too deeply",
            where=f"{source}, line {line}",
            why=f"{deep[0].strip()[:40]}… has {deep[0].count('.') + 1:,} parts, the limit is {MOST_PARTS}",
            fix="a spec needs names of a few parts, such as blocks.residual.layers",
        )
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise RfcalcError("the values are nested too deeply", where=source) from None
    level: list[Any] = [data]
    for _ in range(MOST_PARTS):  # how deep the reader of TOML goes depends on the process
        inner = [value for at in level for value in (at.values() if isinstance(at, dict) else at)]
        level = [value for value in inner if isinstance(value, (dict, list))]
        if not level:
            return data
    raise RfcalcError("the values are nested too deeply", where=source, why=f"the limit is {MOST_PARTS} levels")
