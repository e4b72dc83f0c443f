"""rfcalc report."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from rfcalc.receptive.receptive_field import Status
from rfcalc.report.schemas.common import Maybe, Size


class ReportNetworkJson(TypedDict):
    name: str
    target: str
    title: str
    citation: str
    outputs: list[str]


class ReportOpsJson(TypedDict):
    macs: Size
    conv_bias_adds: Size
    linear_bias_adds: Size
    norm: Size
    activation: Size
    pool_inputs: Size
    pool_outputs: Size
    adaptive_pool_inputs: Size


class FieldPathJson(TypedDict):
    node: str
    stride: Maybe


class FieldJoinJson(TypedDict):
    node: str
    axis: int
    why: Literal["strides", "layout", "rearranged", "before", "after", "listed", "gaps", "period"]
    paths: list[FieldPathJson]


class ReceptiveFieldJson(TypedDict):
    status: Status
    size: Annotated[
        list[Maybe],
        "side of the hull of input positions that a unit depends on, padding counted, an entry an axis; "
        "the largest phase; null where no local path is left",
    ]
    stride: Annotated[list[Maybe], 'effective stride; fractions as text ("1/2")']
    padding: Annotated[list[Maybe], "effective left padding: unit 0 begins that far before pixel 0"]
    center: Annotated[list[Maybe], "centre of unit 0; pixel 0 is centred at 0; fractions as text"]
    phases: Annotated[list[list[Size] | None] | None, "sizes by phase on each axis, or null where no axis has phases"]
    reach: Annotated[
        list[Annotated[list[Maybe], ("minItems", 2), ("maxItems", 2)] | None],
        "[left, right] of a unit's own place, the most over all phases of its local window, an entry an "
        "axis; null without end",
    ]
    through: Annotated[list[str], "nodes that make it global, the first on each path"]
    hull: Annotated[
        list[Annotated[list[Size], ("minItems", 2), ("maxItems", 2)] | None],
        "first and last real pixel that any unit of the node sees, an entry an axis",
    ]
    joins: Annotated[
        list[FieldJoinJson], "where no common stride is left: the node, the axis, why, the paths with their strides"
    ]


class ReportLayerJson(TypedDict):
    name: str
    kind: str
    notation: str
    stage: str
    inputs: list[str]
    output_shape: Annotated[list[Size], "channels first (tokens: tokens × features), without the batch; flat is [4096]"]
    values: Size
    bytes: Size
    weights: Size
    biases: Size
    buffers: Size
    params: Size
    trainable: Size
    macs: Size
    ops: ReportOpsJson
    shared_with: Annotated[str | None, "the node that holds this node's weights"]
    in_place: bool
    receptive_field: Annotated[ReceptiveFieldJson, "what a unit sees of the first input"]
    receptive_fields: NotRequired[
        Annotated[
            Annotated[dict[str, ReceptiveFieldJson], ("minProperties", 2)],
            "what a unit sees of each input, by the input's name; where there are several",
        ]
    ]


class ReportTotalsJson(TypedDict):
    weights: Size
    biases: Size
    buffers: Size
    params: Size
    trainable: Size
    macs: Size
    flops: Size
    ops: ReportOpsJson
    values: Size
    bytes: Size
    peak_bytes: Size
    saved_bytes: Size
    weight_layers: Size


class ReportJson(TypedDict):
    schema: Literal["rfcalc/report/1"]
    network: ReportNetworkJson
    inputs: dict[str, list[Size]]
    conventions: Annotated[dict[str, Size], ("required", ["batch", "dtype"])]
    assumptions: list[str]
    complete: Annotated[bool, "false: an operator was not understood, and totals are lower bounds"]
    layers: list[ReportLayerJson]
    totals: ReportTotalsJson


DOCUMENT = ReportJson
