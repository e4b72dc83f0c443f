"""What `rfcalc check` shows: one function a format, each a text made from the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from rfcalc.claims.judging import Result
from rfcalc.core.errors import UnknownName, plural

SCHEMA = "rfcalc/check/1"
FORMATS = {
    "rich": "a table for the terminal",
    "plain": "the same table in plain columns",
    "json": "for machines: schema rfcalc/check/1",
    "junit": "JUnit's XML, one test case a claim",
    "github": "GitHub annotations on the lines of the claims file",
    "markdown": "a table for a pull request or a page",
    "badge": "what shields.io shows as a badge",
}
HEADS = ("network", "claim", "printed", "computed", "verdict", "source")


def render(results: Sequence[Result], form: str, *, color: bool = False) -> str:
    """The results in a format.

    Raises:
        UnknownName: no such format.
    """
    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))
    if form == "rich":
        return _columns(results, color=color)
    return {
        "plain": _columns,
        "json": _json,
        "junit": _junit,
        "github": _github,
        "markdown": markdown,
        "badge": _badge,
    }[form](results)


def summary(results: Sequence[Result]) -> str:
    """One line: how many claims, how many fit, how many are known errata, how many are red."""
    red = sum(not r.passed for r in results)
    errata = sum(r.passed and r.claim.expect == "mismatch" for r in results)
    fit = len(results) - red - errata
    parts = [f"{len(results)} claims: {fit} match", f"{errata} known errata", f"{red} red"]
    return ", ".join(parts)


def cells(result: Result) -> tuple[str, ...]:
    """A result as the cells of a table."""
    claim = result.claim
    return (claim.network, claim.name, claim.told, result.computed, result.told, claim.source)


def _columns(results: Sequence[Result], color: bool = False) -> str:
    rows = [HEADS, *(cells(r) for r in results)]
    shorter = [tuple(_short(c) if i < 3 else c for i, c in enumerate(row)) for row in rows]
    widths = [max(len(row[i]) for row in shorter) for i in range(len(HEADS))]
    lines = []
    for row, result in zip(shorter, [None, *results], strict=True):
        line = "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        if color and result is not None:
            tint = "31" if not result.passed else "33" if result.claim.expect == "mismatch" else "32"
            line = f"\x1b[{tint}m{line}\x1b[0m"
        lines.append(line)
    lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join([*lines, "", summary(results)])


def _short(text: str) -> str:
    """A long notation or rule, cut for a column."""
    return text if len(text) <= 60 else text[:59] + "…"


def to_dict(result: Result) -> dict[str, Any]:
    """A result as JSON has it."""
    claim, found = result.claim, result.explanation
    value = result.value
    return {
        "network": claim.network,
        "input": claim.input,
        "name": claim.name,
        "what": claim.what or claim.rule,
        "printed": claim.told,
        "value": None if value is None else int(value) if value.denominator == 1 else float(value),
        "computed": result.computed,
        "verdict": str(result.verdict),
        "expected": claim.expect,
        "passed": result.passed,
        "explanation": None if found is None else {"changes": list(found.changes), "tried": found.tried},
        "source": claim.source,
        "note": claim.note,
        "file": str(claim.file.path),
        "line": claim.line,
    }


def _json(results: Sequence[Result]) -> str:
    from json import dumps

    passed = all(r.passed for r in results)
    document = {"schema": SCHEMA, "passed": passed, "claims": [to_dict(r) for r in results]}
    return dumps(document, indent=1, ensure_ascii=False)


def message(result: Result) -> str:
    """A failed claim in one sentence."""
    claim = result.claim
    return f"{claim.network}: {claim.name}: printed {claim.told}, computed {result.computed}: {result.told}"


def _junit(results: Sequence[Result]) -> str:
    red = [r for r in results if not r.passed]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="rfcalc check" tests="{len(results)}" failures="{len(red)}" errors="0">',
    ]
    for r in results:
        claim = r.claim
        opened = (
            f"  <testcase classname={quoteattr(claim.network)} name={quoteattr(claim.name)} "
            f'file={quoteattr(str(claim.file.path))} line="{claim.line}"'
        )
        if r.passed:
            lines.append(opened + "/>")
        else:
            told = message(r)
            lines += [opened + ">", f"    <failure message={quoteattr(told)}>{escape(told)}</failure>", "  </testcase>"]
    return "\n".join([*lines, "</testsuite>"])


def _github(results: Sequence[Result]) -> str:
    lines = []
    for r in results:
        if r.passed:
            continue
        path = _property(str(r.claim.file.path))
        lines.append(f"::error file={path},line={r.claim.line},title={_property(r.claim.name)}::{_data(message(r))}")
    return "\n".join([*lines, summary(results)])


def _badge(results: Sequence[Result]) -> str:
    """The endpoint of a badge: https://shields.io/badges/endpoint-badge."""
    from json import dumps

    red = sum(not r.passed for r in results)
    told = f"{red} of {plural(len(results), 'claim')} red" if red else f"{plural(len(results), 'claim')} checked"
    badge = {"schemaVersion": 1, "label": "rfcalc", "message": told, "color": "red" if red else "brightgreen"}
    return dumps(badge, ensure_ascii=False)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def markdown(results: Sequence[Result]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in cells(r)) + " |" for r in results]
    return "\n".join([*lines, "", summary(results)])
