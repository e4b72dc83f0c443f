"""rfcalc explain."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict


class ExplainNetworkJson(TypedDict):
    name: str
    target: str


Number = Annotated[int | str | None, "a whole number; fractions and symbols as text"]


Value = Number | list[Number]


class ExplainEquationJson(TypedDict):
    subject: Annotated[str, "what the formula gives: F, Out, weights"]
    formula: Annotated[str, "the formula with its names, as it is printed"]
    expression: Annotated[str, "the same as a program reads it: + - * // ceildiv prod sum min max"]
    operands: Annotated[dict[str, Value], "the numbers put in, by name"]
    filled: Annotated[str, "the formula with the numbers put in, as it is printed"]
    value: Annotated[Value, "what comes out"]
    carried: Annotated[list[str], "operands that an earlier line gave: what changes from line to line"]
    source: Annotated[str, "where the formula comes from, or what it says"]


class ExplainStepJson(TypedDict):
    """One line: the node it is about, the formulas evaluated there, a sentence."""

    node: str | None
    notation: str | None
    text: str | None
    nodes: NotRequired[Annotated[list[str], "all nodes that the line stands for, where there are several"]]
    equations: list[ExplainEquationJson]


class ExplainSectionJson(TypedDict):
    heading: str
    steps: list[ExplainStepJson]
    notes: list[str]


ExplainJson = TypedDict(
    "ExplainJson",
    {
        "schema": Literal["rfcalc/explain/1"],
        "network": ExplainNetworkJson,
        "metric": Annotated[str, "the metric's name, as in columns and claims"],
        "meaning": Annotated[str, "what the metric is, in words"],
        "node": Annotated[str | None, "the node; null for a figure of the whole network"],
        "from": Annotated[str | None, "where a receptive field is counted from; null for other metrics"],
        "value": Annotated[Value, "the figure; an entry an axis for shapes and receptive fields"],
        "result": Annotated[str, "the answer in a sentence"],
        "sections": list[ExplainSectionJson],
        "sources": Annotated[list[str], "where the formulas come from, each once"],
        "conventions": list[str],
        "assumptions": list[str],
    },
)


DOCUMENT = ExplainJson
