"""rfcalc design --format json."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from rfcalc.report.schemas.common import Count, Positive, Size
from rfcalc.report.schemas.compare import CompareNetworksJson

Figure = int | float | str | list[Any] | None


class DesignSpaceJson(TypedDict):
    family: str
    input: list[Size]
    size: Count
    parameters: dict[str, list[int | str]]


class DesignedNetworkJson(TypedDict):
    family: str
    notation: str
    figures: dict[str, Figure]
    changes: NotRequired[list[str]]
    notes: NotRequired[list[str]]
    comparison: NotRequired[
        Annotated[
            CompareNetworksJson,
            "Of a variant: what it changes against the network that is given (schema rfcalc/compare/1).",
        ]
    ]
    seen: NotRequired[Annotated[Positive, "Of a stack: how many positions of the receptive field it depends on."]]


class DesignTightestJson(TypedDict):
    constraint: str
    bound: Figure


class DesignUnfitJson(TypedDict):
    change: str
    why: str


class DesignConflictJson(TypedDict):
    constraints: list[str]
    why: str


class DesignJson(TypedDict):
    schema: Literal["rfcalc/design/1"]
    constraints: list[str]
    objectives: list[str]
    space: list[DesignSpaceJson]
    searched: Count
    designs: list[DesignedNetworkJson]
    optimal: bool
    tightest: list[DesignTightestJson]
    unfit: NotRequired[list[DesignUnfitJson]]
    conflicts: NotRequired[list[DesignConflictJson]]
    given: NotRequired[Annotated[dict[str, Figure], "Figures of the network that is given."]]
    sentences: NotRequired[list[str]]
    assumptions: NotRequired[list[str]]


DOCUMENT = DesignJson
