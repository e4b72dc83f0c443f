"""rfcalc/grid/1: where the units of nodes lie in the first input."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from rfcalc.report.schemas.common import Count

Number = Annotated[int | str | None, "a whole number, or a fraction as text"]


class GridAxisJson(TypedDict):
    axis: Count
    stride: Number
    offset: Number
    offset_half: Number
    size: int | None
    reach: Annotated[list[int], ("minItems", 2), ("maxItems", 2)] | None


class GridNodeJson(TypedDict):
    node: str
    axes: list[GridAxisJson]
    why: Annotated[str | None, "why an axis has no grid"]


class GridAlignmentJson(TypedDict):
    fine: str
    coarse: str
    axis: int
    offset: Number
    cells: Number


class GridJson(TypedDict):
    schema: Literal["rfcalc/grid/1"]
    network: Annotated[dict[str, Any], ("required", ["name", "target"])]
    input: dict[str, list[int]]
    nodes: list[GridNodeJson]
    alignment: list[GridAlignmentJson]
    assumptions: list[str]


DOCUMENT = GridJson
