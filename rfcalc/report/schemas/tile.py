"""rfcalc/tile/1: an exact plan of tiles, or why there is none."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from rfcalc.report.schemas.common import Count, Positive

Pair = Annotated[list[int], ("minItems", 2), ("maxItems", 2)]


class TileAxisJson(TypedDict):
    axis: Count
    period: Positive
    advance: Positive
    reach: Pair | None
    need: Pair
    halo: Pair
    align: Positive
    step: Positive


Ranges = Annotated[
    list[Pair] | dict[str, list[Pair]], "half-open [a, b) of each axis; by output (or input) where there are several"
]


class TileRangesJson(TypedDict):
    read: Ranges
    write: Ranges
    crop: Ranges


class TileMacsJson(TypedDict):
    whole: int
    tiled: int
    ratio: float | None


class TilePeakBytesJson(TypedDict):
    whole: int
    tile: int


class TileBarrierJson(TypedDict):
    node: str
    kind: str
    why: str


TileJson = TypedDict(
    "TileJson",
    {
        "schema": Literal["rfcalc/tile/1"],
        "network": Annotated[dict[str, Any], ("required", ["name", "target"])],
        "input": dict[str, list[int]],
        "outputs": list[str],
        "status": Literal["exact", "barrier", "impossible"],
        "axes": list[TileAxisJson],
        "tiles": list[TileRangesJson],
        "count": Count,
        "macs": TileMacsJson,
        "peak_bytes": TilePeakBytesJson,
        "barriers": list[TileBarrierJson],
        "passes": NotRequired[
            Annotated[
                list[
                    Annotated[dict[str, Any], ("required", ["gathers", "axes", "tiles", "count", "macs", "peak_bytes"])]
                ],
                "with --passes: what is gathered before the last pass, with the axes and tiles of each",
            ]
        ],
        "as": Annotated[dict[str, Any], "settings of other tools, by tool"],
        "overlap": NotRequired[Annotated[dict[str, Any], "what --check-overlap says"]],
        "verified": NotRequired[Annotated[dict[str, Any], "what --run says"]],
        "assumptions": list[str],
    },
)


DOCUMENT = TileJson
