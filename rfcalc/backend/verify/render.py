"""A verification for people: a line for each check, every difference, where it was measured."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, EQUAL, UNSEEN, Finding, Verification

MARKS = {EQUAL: "=", BOUNDED: "≈", DISAGREES: "≠", UNSEEN: "?"}
COLORS = {EQUAL: "32", BOUNDED: "33", DISAGREES: "1;31", UNSEEN: "36"}
MOST = 12  # differing findings of one verdict that are listed


def value(told: Any) -> str:
    """A figure with its digits grouped, a shape as the table has it."""
    if isinstance(told, bool) or told is None:
        return "–" if told is None else str(told)
    if isinstance(told, int):
        return f"{told:,}"
    if isinstance(told, tuple):
        return "x".join(map(str, told))
    return str(told)


def render(found: Verification, color: bool = False, width: int | None = None) -> str:
    """The verification as text."""

    def paint(text: str, verdict: str) -> str:
        return f"\x1b[{COLORS[verdict]}m{text}\x1b[0m" if color else text

    return "\n".join(_lines(found, paint, width))


def _lines(found: Verification, paint: Any, width: int | None) -> Iterator[str]:
    inputs = ", ".join(shape if name == "input" else f"{name}={shape}" for name, shape in found.inputs.items())
    by = f"measured by PyTorch {found.versions['torch']} on {found.device}"
    yield from _wrapped(f"{found.network}, {inputs}: computed | {by}", "", width)
    batch = f"batch {found.batch}, {found.dtype}; macs: multiply-adds, half of flop_counter's FLOPs; sizes in bytes"
    yield from _wrapped(batch, "", width)
    yield ""
    for check in found.checks:
        findings = found.of(check)
        whole = [f for f in findings if not f.node]
        nodes = [f for f in findings if f.node]
        if nodes:
            equal = sum(f.verdict == EQUAL for f in nodes)
            verdict = (
                DISAGREES if any(f.verdict == DISAGREES for f in nodes) else EQUAL if equal == len(nodes) else BOUNDED
            )
            what = "units" if check == "receptive_field" else "figures"
            yield paint(f"{MARKS[verdict]} {check}: {equal} of {len(nodes)} {what} equal", verdict)
        few = [f for f in nodes if f.verdict != EQUAL]
        shown = nodes if check in ("as_is", "erf") else [*_few(nodes, check), *few[:MOST]]
        for f in [*shown, *whole]:
            yield from _told(f, paint, width)
        if len(few) > MOST and check not in ("as_is", "erf"):
            yield f"    … and {len(few) - MOST} more (--format json has them all)"
    yield ""
    for note in found.notes:
        yield from _wrapped(f"note: {note}", "", width)
    counted = {v: sum(f.verdict == v for f in found.findings) for v in MARKS}
    told = ", ".join(f"{n} {v}" for v, n in counted.items() if n)
    yield paint(told + ("" if found.passed else ": something disagrees"), EQUAL if found.passed else DISAGREES)


def _few(nodes: list[Finding], check: str) -> list[Finding]:
    """One equal receptive field a node, as an example: the middle unit."""
    if check != "receptive_field":
        return []
    places: dict[tuple[str, str], list[Finding]] = {}
    for f in nodes:
        places.setdefault((f.node, f.figure.partition(" on ")[2]), []).append(f)
    middle = [found[2] if len(found) > 2 else found[0] for found in places.values()]  # first, last, middle, others
    return [f for f in middle if f.verdict == EQUAL]


def _told(f: Finding, paint: Any, width: int | None) -> Iterator[str]:
    name = f"{f.node}: {f.figure}" if f.node else f.figure
    figures = value(f.predicted) if f.verdict == EQUAL else f"{value(f.predicted)} | {value(f.measured)}"
    yield from _wrapped(f"{MARKS[f.verdict]} {name}  {figures}", "  ", width, lambda text: paint(text, f.verdict))
    if f.bound and f.verdict != DISAGREES and f.what != "as_is":
        yield from _wrapped(f.bound, "      ", width)
    if f.note:
        yield from _wrapped(f.note, "      ", width)


def _wrapped(text: str, indent: str, width: int | None, paint: Any = str) -> Iterator[str]:
    """The text within the width; a pipe gets it on one line."""
    if width is None:
        yield indent + paint(text)
        return
    for i, line in enumerate(wrap(text, max(width - len(indent) - 2, 20), break_long_words=False)):
        yield indent + "  " * bool(i) + paint(line)
