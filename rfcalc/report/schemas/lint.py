"""rfcalc design --lint --format json."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from rfcalc.report.schemas.common import Count


class LintFindingJson(TypedDict):
    rule: str
    node: str
    what: str
    remedy: str
    mended: Annotated[Count | None, "which of the networks in mended"]


class LintMendedJson(TypedDict):
    notation: str
    input: dict[str, list[Count]]


class LintJson(TypedDict):
    schema: Literal["rfcalc/lint/1"]
    network: str
    input: dict[str, list[Count]]
    rules: list[str]
    findings: list[LintFindingJson]
    mended: Annotated[list[LintMendedJson], "networks after remedies, each once"]


DOCUMENT = LintJson
