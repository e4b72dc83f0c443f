"""rfcalc list."""

from __future__ import annotations

from typing import Literal, TypedDict


class ListNetworkJson(TypedDict):
    name: str
    title: str
    citation: str


class ListJson(TypedDict):
    schema: Literal["rfcalc/list/1"]
    networks: list[ListNetworkJson]


DOCUMENT = ListJson
