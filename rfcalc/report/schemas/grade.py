"""rfcalc grade --format json."""

from __future__ import annotations

from typing import Literal, TypedDict

from rfcalc.report.schemas.common import Count, Positive


class GradeMarksJson(TypedDict):
    cells: Count
    strict: Count
    carried: Count


class GradeColumnJson(TypedDict):
    head: str
    figure: str
    scale: Positive


class GradeMisconceptionJson(TypedDict):
    code: str
    name: str
    feedback: str


class GradeCellJson(TypedDict):
    figure: str
    written: str
    status: Literal["right", "consistent", "repeated", "wrong", "blank", "unreadable", "missing"]
    right: str
    follows: str | None
    misconceptions: list[GradeMisconceptionJson]


class GradeRowJson(TypedDict):
    line: Positive | None
    written: str
    node: str
    status: Literal["right", "consistent", "repeated", "wrong", "missing"]
    cells: list[GradeCellJson]


class GradeTableJson(TypedDict):
    marks: GradeMarksJson
    columns: list[GradeColumnJson]
    first_wrong: str | None
    misconception: str | None
    missing: list[str]
    notes: list[str]
    rows: list[GradeRowJson]


class GradeBoundJson(TypedDict):
    constraint: str
    holds: bool
    figure: str
    nearest: str | None


class GradeDesignJson(TypedDict):
    passed: bool
    inputs: dict[str, list[int]]
    bounds: list[GradeBoundJson]
    assumptions: list[str]


class GradeResultJson(TypedDict):
    student: str
    error: str | None
    table: GradeTableJson | None
    design: GradeDesignJson | None


class GradeMistakeJson(TypedDict):
    code: str
    name: str
    title: str
    students: list[str]
    cells: Positive
    rows: dict[str, Positive]


class GradeClassRowJson(TypedDict):
    row: str
    right: Count
    consistent: Count
    repeated: Count
    wrong: Count
    missing: Count
    commonest: str | None


class GradeClassJson(TypedDict):
    mistakes: list[GradeMistakeJson]
    rows: list[GradeClassRowJson]


GradeJson = TypedDict(
    "GradeJson",
    {
        "schema": Literal["rfcalc/grade/1"],
        "network": str | None,
        "conventions": str,
        "results": list[GradeResultJson],
        "class": GradeClassJson,
    },
)


DOCUMENT = GradeJson
