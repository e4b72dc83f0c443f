"""Judging claims: computed against printed, and what would explain a mismatch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, cast

from rfcalc.claims.changes import ClaimExplanation, explain
from rfcalc.claims.files import Claim, ClaimError, is_code
from rfcalc.claims.recorded import is_recorded, record
from rfcalc.core.errors import RfcalcError
from rfcalc.report import Report


class Verdict(StrEnum):
    """What a comparison came to. A mismatch that was expected is fine; one that is not, and a match that was expected
    to be none, are red."""

    MATCH = "match"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim, what was computed for it, the verdict, and for a mismatch what would explain it."""

    claim: Claim
    value: Fraction | None
    computed: str
    verdict: Verdict
    explanation: ClaimExplanation | None = None

    def __repr__(self) -> str:
        return f"Result({self.claim.network}: {self.claim.name}, {self.claim.told}: {self.told})"

    @property
    def passed(self) -> bool:
        return self.verdict == self.claim.expect

    @property
    def told(self) -> str:
        """The verdict in words."""
        if self.verdict is Verdict.MATCH:
            cut = self.claim.printed is not None and self.claim.printed.rounding != "nearest"
            match = "match, truncated" if cut else f"match: {self.claim.counted}" if self.claim.counted else "match"
            return match if self.passed else f"{match}, and a mismatch was expected: the erratum is none (any more)"
        known = "known erratum" if self.passed else "mismatch"
        return f"{known}: {self.explanation}" if self.explanation is not None else known


class Reports:
    """Reports by network and input, each made once. Targets in the user's code are refused, but those in `run`."""

    def __init__(self, run: Sequence[str] = ()) -> None:
        self._run = run
        self._made: dict[tuple[str, str | None], Report] = {}

    def __call__(self, network: str, shape: str | None) -> Report:
        found = self._made.get((network, shape))
        if found is None and is_recorded(network):
            # it has what claims ask of a whole network, and no rows
            found = self._made[network, shape] = cast(Report, record(network, shape))
        if found is None:
            from rfcalc.readers.target import resolve

            if is_code(network) and network not in self._run:
                raise RfcalcError(f"{network} is code, and claims run no code", fix=f"name it: --run {network}")

            given = _inputs(shape)
            target = resolve(network, given)
            if shape is None and None in target.network.inputs.values():
                raise RfcalcError(f"gives no input for {network}", fix='add input = "3x224x224"')
            given = None if target.bound else given  # a model's file was read with it
            found = Report(target.network, given, target=target.name, assumptions=target.assumptions)
            self._made[network, shape] = found
        return found


def _inputs(shape: str | None) -> Any:
    from rfcalc.core.shape import Shape

    return None if shape is None else Shape.parse(shape)


def judge(claims: Iterable[Claim], reports: Reports | None = None, *, explained: bool = True) -> list[JudgedClaim]:
    """What the layers say about each claim, in their order.

    Args:
        claims: of one or several files.
        reports: reports that have been made already.
        explained: whether a mismatch is explained.

    Raises:
        ClaimError: a claim that cannot be computed: an unknown metric or layer, a missing input, a division by zero.
    """
    made = reports or Reports()
    results = []
    for claim in claims:
        try:
            results.append(_judged(claim, made, explained))
        except RfcalcError as error:
            inner = f"{error.where}: {error.what}" if error.where else error.what
            raise ClaimError(inner, where=claim.where, why=error.why).fixed_as(error) from None
    return results


def _judged(claim: Claim, reports: Reports, explained: bool) -> JudgedClaim:
    if claim.rule:
        from rfcalc.report.constraints import check as check_rule

        outcomes = check_rule(reports(claim.network, claim.input), claim.rule)
        failed = [told for _, held, told in outcomes if not held]
        told = "; ".join(failed or [told for *_, told in outcomes])
        return JudgedClaim(claim, None, told, Verdict.MISMATCH if failed else Verdict.MATCH)
    assert claim.expression is not None
    value = claim.expression.evaluate(claim.setting, reports)
    if claim.printed is None:
        held = (claim.least is None or value >= claim.least.value) and (claim.most is None or value <= claim.most.value)
        bound = claim.least or claim.most
        return JudgedClaim(
            claim, value, bound.like(value) if bound else "", Verdict.MATCH if held else Verdict.MISMATCH
        )
    computed = claim.printed.like(value)
    if claim.printed.holds(value):
        return JudgedClaim(claim, value, computed, Verdict.MATCH)
    if claim.gives is not None:
        made = claim.gives.evaluate(claim.setting, reports)
        if not claim.printed.holds(made):
            told = f"what it gives is {claim.printed.like(made)}, not {claim.printed.text}"
            raise RfcalcError(told, fix="correct the expression of gives, or leave it out")
        return JudgedClaim(
            claim, value, computed, Verdict.MISMATCH, ClaimExplanation((claim.note.rstrip("."),), 1, True)
        )
    if claim.slip:
        return JudgedClaim(
            claim, value, computed, Verdict.MISMATCH, ClaimExplanation((claim.note.rstrip("."),), 1, True)
        )
    found = explain(claim, reports) if explained else None
    return JudgedClaim(claim, value, computed, Verdict.MISMATCH, found)
