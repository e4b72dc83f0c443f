"""Networks compared, or a family's pairings."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from rfcalc.report.schemas.common import Maybe, Positive, Size


class CompareNetworkJson(TypedDict):
    label: str
    name: str
    target: str
    title: str
    citation: str
    inputs: dict[str, list[Size]]
    complete: bool
    assumptions: list[str]


class CompareAgainstJson(TypedDict):
    network: Positive
    difference: Size
    ratio: Annotated[
        str | None, "first / other, exact: a fraction in lowest terms, or a formula; null where other is 0."
    ]
    decimal: float | None
    percent: Annotated[float | None, "(other − first) in percent of first; null with symbols."]


class CompareFigureJson(TypedDict):
    name: str
    title: str
    meaning: str
    values: Annotated[list[Maybe | list[Maybe]], ("minItems", 2)]
    against: list[CompareAgainstJson]


MatchStatus = Literal["same", "input", "changed", "replaced", "only_first", "only_other"]


class CompareChangeJson(TypedDict):
    difference: str
    status: MatchStatus
    layers: list[str]
    weights: Size
    params: Size
    macs: Size


Texts = Annotated[list[str | None], ("minItems", 2), ("maxItems", 2)]


class CompareDifferenceJson(TypedDict):
    what: str
    first: str
    other: str


Pair = Annotated[list[Maybe], ("minItems", 2), ("maxItems", 2)]


class CompareLayerJson(TypedDict):
    status: MatchStatus
    names: Texts
    notations: Texts
    differences: list[CompareDifferenceJson]
    output_shapes: Annotated[list[list[Size] | None], ("minItems", 2), ("maxItems", 2)]
    weights: Pair
    params: Pair
    macs: Pair


class CompareComparisonJson(TypedDict):
    network: Positive
    changes: list[CompareChangeJson]
    layers: list[CompareLayerJson]


class CompareFiguresJson(TypedDict):
    networks: Annotated[list[CompareNetworkJson], ("minItems", 2)]
    conventions: dict[str, Any]
    figures: Annotated[list[CompareFigureJson], ("minItems", 1)]
    comparisons: Annotated[list[CompareComparisonJson], ("minItems", 1)]
    sentences: list[str]


class CompareNetworksJson(CompareFiguresJson):
    schema: Literal["rfcalc/compare/1"]


class CompareFamilyNameJson(TypedDict):
    name: str
    title: str
    citation: str
    quoted: str


class CompareQuotedJson(TypedDict):
    what: str
    first: str
    other: str
    difference: str


class ComparePairJson(TypedDict):
    name: str
    asks: str
    says: str
    where: str
    quoted: list[CompareQuotedJson]
    comparison: CompareFiguresJson


class CompareFamilyJson(TypedDict):
    schema: Literal["rfcalc/compare/1"]
    family: CompareFamilyNameJson
    pairs: Annotated[list[ComparePairJson], ("minItems", 1)]


DOCUMENT = CompareNetworksJson | CompareFamilyJson
