"""rfcalc rf."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from rfcalc.report.schemas.common import Maybe, Size
from rfcalc.report.schemas.report import ReceptiveFieldJson


class RfNetworkJson(TypedDict):
    name: str
    target: str


class RfPhaseJson(TypedDict):
    phase: int
    size: Size
    units: Size
    ends: Annotated[list[Size] | None, "first and last position that the phase's first unit sees"]
    reach: Annotated[list[Maybe] | None, "how far it sees before and after its place"]


class RfAlignmentJson(TypedDict):
    node: str
    offset: list[Maybe]


class RfRegionJson(TypedDict):
    size: list[int]
    units: int


class RfEffectiveJson(TypedDict):
    sigma: float
    interval_95: list[int]


class RfUnitJson(TypedDict):
    unit: list[int]
    interval: Annotated[list[list[Size] | None], "with padding counted"]
    region: Annotated[list[list[int]] | None, "first and last real pixel"]
    size: list[int]
    support: Annotated[int, "pixels that matter"]
    hull: Annotated[int, "pixels in the hull"]
    gaps: Annotated[list[int], "longest run of positions inside that no pixel of it lies on"]
    boxes: Annotated[
        list[list[list[Annotated[list[int], ("minItems", 2), ("maxItems", 2)]]]] | None,
        "the pixels that matter, as a union of boxes: for each axis the runs [first, last] of its "
        "positions; null beyond 1000 boxes",
    ]
    effective: Annotated[list[RfEffectiveJson | None], "closed form under the documented assumptions"]


class RfGriddingJson(TypedDict):
    node: str
    gaps: list[int]


RfJson = TypedDict(
    "RfJson",
    {
        "schema": Literal["rfcalc/rf/1"],
        "network": RfNetworkJson,
        "node": str,
        "from": str,
        "units": Annotated[list[Size], "the node's spatial sizes"],
        "input": Annotated[list[Size], "the source's spatial sizes"],
        "receptive_field": ReceptiveFieldJson,
        "phases": Annotated[list[list[RfPhaseJson] | None], "phases of each axis, or null"],
        "alignment": Annotated[list[RfAlignmentJson], "joins at which paths of equal stride arrive with centres apart"],
        "sentences": list[str],
        "assumptions": list[str],
        "regions": NotRequired[
            Annotated[list[RfRegionJson], "sizes of the real regions, and how many units have each"]
        ],
        "full_units": NotRequired[
            Annotated[int | None, "units whose whole receptive field is real pixels; null where it has no single size"]
        ],
        "unseen_pixels": NotRequired[int],
        "unit": NotRequired[RfUnitJson],
        "gridding": NotRequired[Annotated[RfGriddingJson | None, "the first node whose middle unit has holes"]],
    },
)


DOCUMENT = RfJson
