"""What a check found: a figure as predicted, as measured, and one of three verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

if TYPE_CHECKING:
    from rfcalc.report.schemas.verify import VerifyFindingJson, VerifyJson

EQUAL, BOUNDED, DISAGREES, UNSEEN = "equal", "within bound", "disagreement", "not measured"
SCHEMA: Final = "rfcalc/verify/1"


class Finding(NamedTuple):
    """One figure beside its measurement.

    Attributes:
        what: the check: shapes, params, macs, receptive_field, saved_bytes, peak_bytes, erf.
        node: the node's name; empty for the whole network.
        figure: what was compared, in words.
        predicted, measured: the two values; `measured` is None where nothing can measure it.
        verdict: ``equal``; ``within bound`` (`bound` says of what); ``disagreement``; ``not measured`` (`note` says
            why, and what checks it instead).
    """

    what: str
    node: str
    figure: str
    predicted: Any
    measured: Any
    verdict: str
    bound: str = ""
    note: str = ""


def compared(what: str, node: str, figure: str, predicted: Any, measured: Any, note: str = "") -> Finding:
    """A finding that allows no difference.

    >>> compared("params", "", "parameters", 10, 10).verdict
    'equal'
    """
    return Finding(what, node, figure, predicted, measured, EQUAL if predicted == measured else DISAGREES, "", note)


class Verification(NamedTuple):
    """All findings about one network, and where they were measured."""

    network: str
    inputs: dict[str, str]
    device: str
    versions: dict[str, str]
    batch: int
    dtype: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing disagrees."""
        return all(f.verdict != DISAGREES for f in self.findings)

    def of(self, what: str) -> tuple[Finding, ...]:
        """The findings of one check."""
        return tuple(f for f in self.findings if f.what == what)

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks that were made, in order."""
        return tuple(dict.fromkeys(f.what for f in self.findings))

    def to_dict(self) -> VerifyJson:
        """The verification as JSON has it (schema rfcalc/verify/1)."""
        return {
            "schema": SCHEMA,
            "network": self.network,
            "inputs": self.inputs,
            "device": self.device,
            "versions": self.versions,
            "batch": self.batch,
            "dtype": self.dtype,
            "passed": self.passed,
            "findings": [cast("VerifyFindingJson", f._asdict()) for f in self.findings],
            "notes": list(self.notes),
        }
