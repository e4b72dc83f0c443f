"""How a network runs along one axis, block by block."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from rfcalc.report.schemas.common import Count, Positive

StreamBlockJson = TypedDict("StreamBlockJson", {"in": Positive, "out": Positive})


class StreamStateJson(TypedDict):
    values: Count
    bytes: Count


class StreamCacheJson(TypedDict):
    node: str
    of: str
    positions: Count
    channels: Count
    values: Count
    bytes: Count


class StreamDelayJson(TypedDict):
    node: str
    input: str
    positions: Count
    values: Count
    bytes: Count


class StreamBlockerJson(TypedDict):
    node: str
    why: str
    fix: str


class StreamOverlapJson(TypedDict):
    asked: Count
    needed: Count | None
    enough: bool
    sentence: str


class StreamJson(TypedDict):
    schema: Literal["rfcalc/stream/1"]
    network: str
    output: str
    axis: Count
    rate: Annotated[float, ("exclusiveMinimum", 0)] | None
    possible: bool
    block: StreamBlockJson | None
    lookback: int | None
    lookback_ms: float | None
    lookahead: int | None
    lookahead_ms: float | None
    latency: Count | None
    latency_ms: float | None
    dtype: str
    state: StreamStateJson | None
    growth: StreamStateJson | None
    caches: list[StreamCacheJson]
    delays: list[StreamDelayJson]
    blockers: list[StreamBlockerJson]
    assumptions: list[str]
    overlap: NotRequired[StreamOverlapJson]


DOCUMENT = StreamJson
