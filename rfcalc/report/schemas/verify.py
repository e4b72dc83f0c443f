"""rfcalc verify --format json."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict


class VerifyFindingJson(TypedDict):
    what: Literal["shapes", "params", "macs", "receptive_field", "as_is", "saved_bytes", "peak_bytes", "erf"]
    node: Annotated[str, "empty for the whole network"]
    figure: str
    predicted: str | int | float | list[Any] | None
    measured: Annotated[
        str | int | float | list[Any] | None, "null where nothing can measure it; the note says what checks it"
    ]
    verdict: Literal["equal", "within bound", "disagreement", "not measured"]
    bound: str
    note: str


class VerifyJson(TypedDict):
    schema: Literal["rfcalc/verify/1"]
    network: str
    inputs: dict[str, str]
    device: str
    versions: dict[str, str]
    batch: int
    dtype: str
    passed: Annotated[bool, "no finding disagrees"]
    findings: list[VerifyFindingJson]
    notes: list[str]


DOCUMENT = VerifyJson
