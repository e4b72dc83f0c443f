"""rfcalc/sizes/1: the valid input sizes of a network."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from rfcalc.report.schemas.common import Count, Positive


class SizesNetworkJson(TypedDict):
    name: str
    target: str


Sizes = list[Positive]


Formula = Annotated[
    str | dict[str, str | None] | None,
    "a formula in n; null where the output has no such axis; by output where there are several",
]


class SizesRefusedJson(TypedDict):
    size: int
    node: str
    why: str


SizesAxisJson = TypedDict(
    "SizesAxisJson",
    {
        "axis": Count,
        "inputs": Annotated[list[str], "those of which n is the size; the others stay as in `input`"],
        "from": Annotated[int | None, "null: `below` is complete"],
        "modulus": Positive,
        "residues": list[Count],
        "below": Sizes,
        "output": Formula,
        "refused": list[SizesRefusedJson],
        "unseen": Formula,
    },
)


class SizesJointJson(TypedDict):
    text: str
    product: int
    terms: list[str]


class SizesTrainingJson(TypedDict):
    size: int | None
    node: str
    why: str


Sides = list[Annotated[list[Count], ("minItems", 2), ("maxItems", 2)]]


class SizesNearJson(TypedDict):
    asked: Sizes
    valid: Sizes
    pad: Sides
    crop: Sides


class SizesJson(TypedDict):
    schema: Literal["rfcalc/sizes/1"]
    network: SizesNetworkJson
    input: dict[str, Sizes]
    axes: list[SizesAxisJson]
    joint: SizesJointJson | None
    training: list[SizesTrainingJson]
    near: list[SizesNearJson]
    assumptions: list[str]


DOCUMENT = SizesJson
