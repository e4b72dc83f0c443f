"""rfcalc exercise --format json."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from rfcalc.report.schemas.common import Positive, Text


class ExercisesTextJson(TypedDict):
    text: Text


class ExercisesCodeJson(TypedDict):
    code: str


class ExercisesBlankJson(TypedDict):
    answer: str


class ExercisesTableJson(TypedDict):
    header: Annotated[list[str], ("minItems", 1)]
    rows: list[list[str | ExercisesBlankJson]]


class ExercisesOptionJson(TypedDict):
    text: Text
    right: bool
    feedback: Text
    misconception: str


class ExercisesAskJson(TypedDict):
    figure: str
    target: str
    input: str
    at: str
    batch: Positive
    dtype: str


class ExercisesAnswerJson(TypedDict):
    name: Annotated[str, ("pattern", "^[A-Za-z][A-Za-z0-9_]*$")]
    kind: Literal["integer", "decimal", "shape", "choice"]
    label: str
    key: Text
    unit: str
    tolerance: Annotated[str, ("pattern", "^([0-9]+(\\.[0-9]+)?)?$")]
    options: Annotated[
        list[ExercisesOptionJson],
        ("minItems", 1),
        ("contains", {"properties": {"right": {"const": True}}}),
        ("minContains", 1),
        ("maxContains", 1),
    ]
    ask: ExercisesAskJson | None


class ExercisesPictureJson(TypedDict):
    kind: Literal["window", "stack", "spread", "graph", "taps", "field"]
    target: Text
    input: str
    at: str
    says: Text


class ExercisesItemJson(TypedDict):
    id: Annotated[str, ("pattern", "^[a-z0-9.-]+\\.v[0-9]+-[0-9a-z]{13}$")]
    pattern: Annotated[str, ("pattern", "^[a-z0-9-]+(\\.[a-z0-9-]+){2}$")]
    family: Literal["output-size", "parameters", "receptive-field", "memory", "operations", "design", "concepts"]
    form: Literal["one-layer", "table", "setting", "compare", "error", "summary", "statement"]
    difficulty: Literal[1, 2, 3]
    seed: Annotated[str, ("pattern", "^[0-9a-z]{13}$")]
    version: Positive
    title: Text
    body: Annotated[list[ExercisesTextJson | ExercisesCodeJson | ExercisesTableJson], ("minItems", 1)]
    answers: Annotated[list[ExercisesAnswerJson], ("minItems", 1)]
    conventions: Text
    derivation: Annotated[list[str], ("minItems", 1)]
    tags: Annotated[list[str], ("minItems", 1)]
    picture: ExercisesPictureJson | None
    solution: ExercisesPictureJson | None


class ExercisesJson(TypedDict):
    schema: Literal["rfcalc/exercises/1"]
    version: Positive
    request: dict[str, Any]
    families: dict[str, str]
    forms: dict[str, str]
    difficulties: dict[str, str]
    items: Annotated[list[ExercisesItemJson], ("minItems", 1)]


DOCUMENT = ExercisesJson
