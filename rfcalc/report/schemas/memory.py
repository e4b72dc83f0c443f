"""rfcalc memory --format json."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from rfcalc.report.schemas.common import Count, Positive


class MemoryTermsJson(TypedDict):
    weights: Count
    gradients: Count
    optimizer: Count
    kept: Count
    activations: Count
    buffers: Count


class MemoryLiveJson(TypedDict):
    term: Literal["weights", "gradients", "optimizer", "kept", "activations", "buffers"]
    node: str
    bytes: Count


class MemoryPeakJson(TypedDict):
    bytes: Count
    node: str
    phase: Literal["forward", "backward", "step"]
    live: list[MemoryLiveJson]


class MemoryTimelineJson(TypedDict):
    node: str
    phase: Literal["forward", "backward", "step"]
    bytes: Count


class MemoryInexactJson(TypedDict):
    nodes: Annotated[list[str], ("minItems", 1)]
    why: str


class MemoryInsideJson(TypedDict):
    module: str
    more: int


class MemoryComparedJson(TypedDict):
    kept: Count
    peak: Count
    own_kept: Count
    own_peak: Annotated[Count, "0: not known, where a library makes memory that PyTorch is not told of"]
    why: Annotated[str, "why the step could not be run without data; else empty"]
    where: Annotated[
        list[MemoryInsideJson], "the modules inside of which other bytes are kept, and how many more than told"
    ]


class MemoryLargestBatchJson(TypedDict):
    budget: Count
    batch: Count


class MemoryCurveJson(TypedDict):
    peak: Count
    extra_macs: Count


class MemoryRunJson(TypedDict):
    first: str
    last: str
    module: str


class MemoryCheckpointJson(TypedDict):
    found: bool
    curve: list[MemoryCurveJson]
    budget: NotRequired[Count]
    runs: NotRequired[list[MemoryRunJson]]
    peak: NotRequired[Count]
    macs: NotRequired[Count]
    extra_macs: NotRequired[Count]
    optimal: NotRequired[bool]


class MemoryDeviceBytesJson(TypedDict):
    maps: Count
    input_counted: bool
    folded: bool


class MemoryMapJson(TypedDict):
    node: str
    offset: Count
    bytes: Count


class MemoryArenaJson(TypedDict):
    bytes: Count
    lower_bound: Count
    optimal: bool
    maps: list[MemoryMapJson]


class MemoryPeakBytesJson(TypedDict):
    whole: Count
    patched: Count


class MemoryMacsJson(TypedDict):
    whole: Count
    patched: Count
    ratio: float


class MemoryPatchJson(TypedDict):
    found: Annotated[
        bool,
        "whether the network fits or its peak is lower: with the division that is told, or without one, "
        "where none is needed",
    ]
    needed: NotRequired[
        Annotated[bool, "false: the network fits into the budget without patches, and no division is told"]
    ]
    cut: NotRequired[str]
    grid: NotRequired[list[Count]]
    peak_bytes: NotRequired[MemoryPeakBytesJson]
    patch_bytes: NotRequired[Count]
    rest_bytes: NotRequired[Count]
    macs: NotRequired[MemoryMacsJson]
    input_counted: NotRequired[bool]
    rolling: NotRequired[bool]


class MemoryLayerJson(TypedDict):
    node: str
    forward_macs: Count
    input_gradient_macs: Count
    weight_gradient_macs: Count


class MemoryWorkJson(TypedDict):
    forward_macs: Count
    input_gradient_macs: Count
    weight_gradient_macs: Count
    flops: Count
    layers: list[MemoryLayerJson]


class MemoryLargestInputJson(TypedDict):
    budget: Positive
    input: dict[str, list[Positive]] | None
    next_peak: int | None


class MemoryJson(TypedDict):
    schema: Literal["rfcalc/memory/1"]
    network: str
    input: dict[str, list[Count]]
    mode: Literal["train", "infer"]
    batch: Positive
    dtype: str
    amp: str | None
    optimizer: str | None
    device: Literal["cpu", "cuda"]
    terms: MemoryTermsJson
    peak: MemoryPeakJson
    timeline: list[MemoryTimelineJson]
    inexact: NotRequired[Annotated[list[MemoryInexactJson], ("minItems", 1)]]
    compared: NotRequired[
        Annotated[
            MemoryComparedJson,
            "of a module: what is kept and the peak, without the optimizer's state, as told and in PyTorch's own run "
            "of the step on tensors without data",
        ]
    ]
    largest_batch: NotRequired[MemoryLargestBatchJson]
    checkpoint: NotRequired[MemoryCheckpointJson]
    device_bytes: NotRequired[MemoryDeviceBytesJson]
    arena: NotRequired[MemoryArenaJson]
    patch: NotRequired[MemoryPatchJson]
    work: MemoryWorkJson
    largest_input: NotRequired[MemoryLargestInputJson]
    block: Positive
    assumptions: Annotated[
        list[str], "what the network was read with; in training not what only holds where it is evaluated"
    ]


DOCUMENT = MemoryJson
