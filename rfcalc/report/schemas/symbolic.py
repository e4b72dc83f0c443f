"""rfcalc symbolic --format json."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from rfcalc.receptive.receptive_field import Status
from rfcalc.report.schemas.common import Text

Rational = Annotated[int | str, "a whole number, or a fraction as text"]
Open = int | str | None


class SymbolicSymbolJson(TypedDict):
    name: str
    meaning: str
    modulus: Rational
    residue: Rational
    least: Rational


Formula = Annotated[
    int | str,
    "a whole number, or a Python expression in the symbols, exact where the assumptions hold; // is whole division",
]


class SymbolicReceptiveFieldJson(TypedDict):
    status: Status | Literal["not_closed"]
    size: list[Open]
    stride: list[Open]
    padding: list[Open]
    center: list[Open]


class SymbolicOpsJson(TypedDict):
    conv_bias_adds: Open
    linear_bias_adds: Open
    norm: Open
    activation: Open
    pool_inputs: Open
    pool_outputs: Open
    adaptive_pool_inputs: Open


class SymbolicLayerJson(TypedDict):
    name: str
    kind: str
    notation: str
    stage: str
    output_shape: list[Open]
    receptive_field: SymbolicReceptiveFieldJson
    weights: Open
    biases: Open
    buffers: Open
    params: Open
    macs: Open
    flops: Open
    values: Open
    bytes: Open
    saved_bytes: NotRequired[Open]
    ops: SymbolicOpsJson


class SymbolicTotalsJson(TypedDict):
    weights: Formula
    biases: Formula
    buffers: Formula
    params: Formula
    macs: NotRequired[Formula]
    flops: NotRequired[Formula]
    values: NotRequired[Formula]
    bytes: NotRequired[Formula]
    saved_bytes: NotRequired[Formula]
    peak_bytes: NotRequired[Formula]
    weight_layers: Formula
    ops: SymbolicOpsJson


class SymbolicEdgeJson(TypedDict):
    at: Rational
    value: Rational
    against: Open


class SymbolicSolutionJson(TypedDict):
    metric: str
    node: str | None
    formula: Formula
    relation: Literal["<", "≤", "=", "≥", ">"]
    bound: Formula
    symbol: str | None
    solutions: Annotated[list[tuple[Rational, Open]], ("minItems", 1)]
    smallest: Open
    largest: Open
    edges: list[SymbolicEdgeJson]


class SymbolicJson(TypedDict):
    schema: Literal["rfcalc/symbolic/1"]
    target: Text
    dtype: str
    symbols: list[SymbolicSymbolJson]
    inputs: dict[str, list[Formula]]
    assumptions: list[str]
    no_closed_form: list[str]
    layers: list[SymbolicLayerJson]
    totals: SymbolicTotalsJson
    solution: NotRequired[SymbolicSolutionJson]


DOCUMENT = SymbolicJson
