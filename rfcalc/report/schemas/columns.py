"""rfcalc columns --format json."""

from __future__ import annotations

from typing import Literal, TypedDict


class ColumnsMetricJson(TypedDict):
    name: str
    aliases: list[str]
    of: Literal["layers", "network", "layers and network"]
    meaning: str


class ColumnsJson(TypedDict):
    schema: Literal["rfcalc/columns/1"]
    metrics: list[ColumnsMetricJson]
    presets: dict[str, list[str]]


DOCUMENT = ColumnsJson
