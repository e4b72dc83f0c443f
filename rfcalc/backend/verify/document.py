"""A verification as a document: a line for each check, every difference, where it was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, EQUAL, UNSEEN, Finding, Verification
from rfcalc.report.document import Document, Role, Sentences, Span, Text

MARKS = {EQUAL: "=", BOUNDED: "≈", DISAGREES: "≠", UNSEEN: "?"}
ROLES: dict[str, Role] = {EQUAL: "good", BOUNDED: "known", DISAGREES: "bad", UNSEEN: "unseen"}
HEAD = ("check", "node", "figure", "computed", "measured", "verdict", "bound", "note")
MOST = 12  # differing findings of one verdict that are listed


def document(found: Verification) -> Document:
    """The verification as lines of text, each in the role of its verdict; CSV and JSON have every finding."""
    inputs = ", ".join(shape if name == "input" else f"{name}={shape}" for name, shape in found.inputs.items())
    about: tuple[Text, ...] = (
        f"{found.network}, {inputs}: computed | measured by PyTorch {found.versions['torch']} on {found.device}",
        f"batch {found.batch}, {found.dtype}; macs: multiply-adds, half of flop_counter's FLOPs; sizes in bytes",
    )
    on = [note for note in found.notes if note.startswith("measured on ")]
    about += tuple(on)
    counted = {v: sum(f.verdict == v for f in found.findings) for v in MARKS}
    told = ", ".join(f"{n} {v}" for v, n in counted.items() if n)
    verdict = (told, ROLES[EQUAL]) if found.passed else (f"{told}: something disagrees", ROLES[DISAGREES])
    last: list[Text] = [f"note: {note}" for note in found.notes if note not in on]
    parts: tuple[Iterable[Text], ...] = (about, _checks(found), [*last, (Span(*verdict),)])
    return Document(
        f"{found.network}: computed and measured",
        tuple(Sentences(tuple(lines), listed=False) for lines in parts),
        data=found.to_dict,
        records=lambda: (HEAD, (_record(f) for f in found.findings)),
    )


def _record(f: Finding) -> tuple[object, ...]:
    plain = (v if v is None or isinstance(v, int) else value(v) for v in (f.predicted, f.measured))
    return (f.what, f.node or None, f.figure, *plain, f.verdict, f.bound or None, f.note or None)


def value(told: object) -> str:
    """A figure with its digits grouped, a shape as the table has it."""
    if isinstance(told, bool) or told is None:
        return "–" if told is None else str(told)
    if isinstance(told, int):
        return f"{told:,}"
    if isinstance(told, tuple):
        return "x".join(map(str, told))
    return str(told)


def _checks(found: Verification) -> Iterator[Text]:
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
            yield (Span(f"{MARKS[verdict]} {check}: {equal} of {len(nodes)} {what} equal", ROLES[verdict]),)
        few = [f for f in nodes if f.verdict != EQUAL]
        shown = nodes if check in ("as_is", "erf") else [*_few(nodes, check), *few[:MOST]]
        for f in [*shown, *whole]:
            yield from _told(f)
        if len(few) > MOST and check not in ("as_is", "erf"):
            yield f"    … and {len(few) - MOST} more (--format json has them all)"


def _few(nodes: list[Finding], check: str) -> list[Finding]:
    """One equal receptive field a node, as an example: the middle unit."""
    if check != "receptive_field":
        return []
    places: dict[tuple[str, str], list[Finding]] = {}
    for f in nodes:
        places.setdefault((f.node, f.figure.partition(" on ")[2]), []).append(f)
    middle = [found[2] if len(found) > 2 else found[0] for found in places.values()]  # first, last, middle, others
    return [f for f in middle if f.verdict == EQUAL]


def _told(f: Finding) -> Iterator[Text]:
    name = f"{f.node}: {f.figure}" if f.node else f.figure
    figures = value(f.predicted) if f.verdict == EQUAL else f"{value(f.predicted)} | {value(f.measured)}"
    yield ("  ", Span(f"{MARKS[f.verdict]} {name}  {figures}", ROLES[f.verdict]))
    if f.bound and f.verdict != DISAGREES and f.what != "as_is":
        yield f"      {f.bound}"
    if f.note:
        yield f"      {f.note}"
