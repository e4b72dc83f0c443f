"""rfcalc/grid/1: where the units of nodes lie in the inputs."""

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


GridNodeJson = TypedDict(
    "GridNodeJson",
    {
        "node": str,
        "from": Annotated[str, "the input"],
        "axes": list[GridAxisJson],
        "why": Annotated[str | None, "why an axis has no grid"],
        "through": Annotated[list[str], "nodes through which all of an axis is seen besides"],
    },
)
GridAlignmentJson = TypedDict(
    "GridAlignmentJson",
    {
        "fine": str,
        "coarse": str,
        "from": Annotated[str, "the input"],
        "axis": int,
        "offset": Number,
        "cells": Number,
    },
)


GridInsteadJson = TypedDict("GridInsteadJson", {"node": str, "from": str, "why": str})


class GridJson(TypedDict):
    schema: Literal["rfcalc/grid/1"]
    network: Annotated[dict[str, Any], ("required", ["name", "target"])]
    input: dict[str, list[int]]
    nodes: list[GridNodeJson]
    alignment: list[GridAlignmentJson]
    instead: Annotated[list[GridInsteadJson], "outputs without a grid, where the last map that has one is told"]
    assumptions: list[str]


DOCUMENT = GridJson
