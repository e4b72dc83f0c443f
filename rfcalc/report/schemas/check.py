"""rfcalc check --format json."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from rfcalc.report.schemas.common import Count, Positive, Text


class CheckExplanationJson(TypedDict):
    changes: Annotated[list[Text], ("maxItems", 2)]
    tried: Count


class CheckClaimJson(TypedDict):
    network: Text
    input: str | None
    name: Text
    what: Text
    printed: Text
    value: float | None
    computed: str
    verdict: Literal["match", "mismatch"]
    expected: Literal["match", "mismatch"]
    passed: bool
    explanation: CheckExplanationJson | None
    source: str
    note: str
    file: Text
    line: Positive
    kind: Literal["printed", "derived"]


class CheckJson(TypedDict):
    schema: Literal["rfcalc/check/1"]
    passed: bool
    claims: list[CheckClaimJson]


DOCUMENT = CheckJson
