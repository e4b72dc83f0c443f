"""rfcalc counts --format json."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from rfcalc.report.schemas.common import Text


class CountsTermJson(TypedDict):
    term: Text
    factor: int
    value: int


class CountsToolJson(TypedDict):
    tool: Text
    version: Text
    figure: Literal["flops", "macs", "mult_adds"]
    count: int | None
    why: Annotated[str | None, "why nothing is known of what the tool prints"]
    terms: list[CountsTermJson]


class CountsJson(TypedDict):
    schema: Literal["rfcalc/counts/1"]
    target: Text
    inputs: dict[str, list[int]]
    tools: list[CountsToolJson]


DOCUMENT = CountsJson
