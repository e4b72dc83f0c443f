"""What would make a claim true: a closed, ordered list of changes, one or two of them at once.

In this order: truncated instead of rounded; biases counted or not; FLOPs = 2 × macs or the other way; MiB for MB;
K = 1024 or 1000; a named variant of the network; an input size of the paper (the file's `inputs`); auxiliary heads. A
change that does not touch what the claim says is not tried. The first that fits is told, singles before pairs. Two
changes at once fit a figure of few digits by chance: they are an explanation only where six digits agree, or where they
make a neighbouring figure true as well: another one of the same file and network that is not true as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.claims.expression import Expression, Setting, figures
from rfcalc.claims.printed import NEAREST, TRUNCATED, Printed
from rfcalc.core.errors import RfcalcError
from rfcalc.report import Report
from rfcalc.report.metrics import metric

if TYPE_CHECKING:
    from rfcalc.claims.files import Claim


@dataclass(frozen=True, slots=True)
class ClaimExplanation:
    """What would make a claim true, and how many possibilities were tried."""

    changes: tuple[str, ...]
    tried: int
    told: bool = False  # the claim itself says what makes its figure

    def __str__(self) -> str:
        if not self.changes:
            return f"unexplained ({self.tried} tried)"
        if self.told:
            return self.changes[0]
        return f"true with {' and '.join(self.changes)} ({self.tried} tried)"


class ClaimReading(NamedTuple):
    """How a claim is read: the setting it is computed under, and the printed value."""

    setting: Setting
    printed: Printed


class ClaimChange(NamedTuple):
    """One way to read a claim otherwise; `kind` groups those that exclude each other."""

    kind: str
    label: str
    apply: Callable[[ClaimReading], ClaimReading]


def changes(claim: Claim) -> list[ClaimChange]:
    """The changes that touch this claim, in order."""
    assert claim.printed is not None
    assert claim.expression is not None
    used = {metric(f.metric).name for f in figures(claim.expression)}
    setting, printed = claim.setting, claim.printed
    found: list[ClaimChange] = []

    def add(kind: str, label: str, apply: Callable[[ClaimReading], ClaimReading]) -> None:
        found.append(ClaimChange(kind, label, apply))

    def printing(kind: str, label: str, changed: Callable[[Printed], Printed]) -> None:
        add(kind, label, lambda view: ClaimReading(view.setting, changed(view.printed)))

    def set_to(kind: str, label: str, **values: Any) -> None:
        add(kind, label, lambda view: ClaimReading(view.setting._replace(**values), view.printed))

    other = TRUNCATED if printed.rounding == NEAREST else NEAREST
    printing("rounding", "truncation" if other == TRUNCATED else "rounding", lambda p: replace(p, rounding=other))
    if "params" in used:
        set_to("biases", "no biases" if setting.biases else "biases", biases=not setting.biases)
    if used & {"macs"}:
        set_to("flops", "multiply-adds" if setting.flops else "FLOPs = 2 × macs", flops=not setting.flops)
    if used & {"bytes", "peak_bytes", "saved_bytes"} and printed.letter in ("M", "K", "G"):
        printing("scale", f"{printed.letter}iB", lambda p: replace(p, letter=f"{p.letter}i"))
    elif printed.letter in ("K", "M", "G"):
        k = 1024 if printed.k == 1000 else 1000
        printing("scale", f"K = {k}", lambda p: replace(p, k=k))
    if not any(f.network for f in figures(claim.expression)) and used:
        variants, heads = _variants(claim.network)
        for name in variants:
            set_to("network", name, network=name)
        for shape in claim.file.inputs:
            if shape != claim.input:
                set_to("input", f"input {shape}", input=shape)
        for name in heads:
            set_to("network", f"auxiliary heads ({name})", network=name)
    return found


def _variants(network: str) -> tuple[list[str], list[str]]:
    """The named variants of a network of the zoo, and those with auxiliary heads: the names that begin as its own."""
    from rfcalc import zoo

    entry = zoo.find(network) if " " not in network else None
    if entry is None:
        return [], []
    names = [e.name for e in zoo.relatives(entry.name)]
    root = min((n for n in names if entry.name == n or entry.name.startswith(f"{n}-")), key=len)
    kin = [n for n in names if n != entry.name and (n == root or n.startswith(f"{root}-"))]
    return [n for n in kin if not n.endswith("-aux")], [n for n in kin if n.endswith("-aux")]


def explain(claim: Claim, lookup: Callable[[str, str | None], Report]) -> ClaimExplanation:
    """Try the changes, alone and then in pairs."""
    assert claim.printed is not None
    assert claim.expression is not None
    known = changes(claim)
    tried = 0
    start = ClaimReading(claim.setting, claim.printed)
    for size in (1, 2):
        for chosen in combinations(known, size):
            if len({c.kind for c in chosen}) < size:
                continue
            view = start
            for change in chosen:
                view = change.apply(view)
            held = _holds(claim.expression, view, lookup)
            if held is None:
                continue
            tried += 1
            if held and (size == 1 or _exact(claim.printed) or _neighbour(claim, [c.label for c in chosen], lookup)):
                return ClaimExplanation(tuple(c.label for c in chosen), tried)
    return ClaimExplanation((), tried)


def _exact(printed: Printed) -> bool:
    """Whether so many digits are printed that chance does not meet them."""
    return len(str(printed.number.numerator).rstrip("0")) >= 6


def _neighbour(claim: Claim, labels: list[str], lookup: Callable[[str, str | None], Report]) -> bool:
    """Whether the same changes make another figure of the file true, which is not as it stands."""
    for other in claim.file:
        if other is claim or other.printed is None or other.expression is None or other.network != claim.network:
            continue
        view = ClaimReading(other.setting, other.printed)
        if _holds(other.expression, view, lookup) is not False:
            continue
        known = {change.label: change for change in changes(other)}
        if not all(label in known for label in labels):
            continue
        for label in labels:
            view = known[label].apply(view)
        if _holds(other.expression, view, lookup):
            return True
    return False


def _holds(expression: Expression, view: ClaimReading, lookup: Callable[[str, str | None], Report]) -> bool | None:
    """Whether the claim is true seen so; None where it cannot be computed (a layer that the variant lacks)."""
    try:
        return view.printed.holds(expression.evaluate(view.setting, lookup))
    except RfcalcError:
        return None
