"""The schemas are derived from the types of the documents: each is a schema, and refuses what the types do not have."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, NotRequired, TypedDict

import jsonschema
import pytest

import rfcalc
from rfcalc.report import schemas


@pytest.mark.parametrize("name", schemas.names())
def test_each_is_a_schema(name: str) -> None:
    found = schemas.schema(name)
    jsonschema.Draft202012Validator.check_schema(json.loads(json.dumps(found)))
    assert found["$id"] == f"rfcalc/{name}/1" and found["title"]


def test_controls_what_the_types_do_not_have_is_refused() -> None:
    document = json.loads(json.dumps(rfcalc.analyze("conv3-8", "3x8x8").to_dict()))
    validator = jsonschema.Draft202012Validator(schemas.schema("report"))
    assert validator.is_valid(document)
    more, less, other = (json.loads(json.dumps(document)) for _ in range(3))
    more["layers"][0]["colour"] = "red"
    del less["layers"][0]["macs"]
    other["layers"][0]["receptive_field"]["status"] = "guessed"
    assert not any(map(validator.is_valid, (more, less, other)))


class Part(TypedDict):
    """A part."""

    size: Annotated[int | None, ("minimum", 1), "null: unknown"]
    name: NotRequired[str]


def test_the_rules_of_derivation() -> None:
    objects: dict = {}
    assert schemas._of(list[Part], objects) == {"type": "array", "items": {"$ref": "#/$defs/Part"}}
    assert objects["Part"] == {
        "type": "object",
        "description": "A part.",
        "additionalProperties": False,
        "required": ["size"],
        "properties": {
            "size": {"type": ["integer", "null"], "minimum": 1, "description": "null: unknown"},
            "name": {"type": "string"},
        },
    }
    with pytest.raises(TypeError, match="no place in JSON"):
        schemas._of(set[int], {})


def test_a_schema_is_printed() -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rfcalc.report.schemas", *words], capture_output=True, text=True, check=False
        )

    assert json.loads(run("list").stdout) == schemas.schema("list")
    wrong = run("lsit")
    assert wrong.returncode == 2 and "did you mean list" in wrong.stderr and "Traceback" not in wrong.stderr
    assert "usage" in run().stderr
