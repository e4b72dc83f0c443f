"""The JSON documents of the commands: what each holds, as types; `schema` gives it as JSON Schema (2020-12).

Each document has a file here, with a ``TypedDict`` an object and the type ``DOCUMENT`` of the whole. What makes a
document is typed with it, so that the type checker compares the two, and the schema is derived: there is no second
list of fields. An annotation holds a sentence, the field's description, or a keyword of JSON Schema with its value.
``python -m rfcalc.report.schemas rf`` prints a schema. What users write (networks and claims as files) has its schema
in JSON beside these, because editors read it.
"""

from __future__ import annotations

import json
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from rfcalc.core.errors import UnknownName

HERE = Path(__file__).parent
_SCALARS = ((str, "string"), (bool, "boolean"), (int, "integer"), (float, "number"), (NoneType, "null"))


def names() -> list[str]:
    """The documents that have a schema.

    >>> names()[:3]
    ['check', 'claims', 'columns']
    """
    beside = {"__init__", "__main__", "common"}
    typed = [path.stem.rstrip("_") for path in HERE.glob("*.py") if path.stem not in beside]
    return sorted([*typed, *(path.stem.removesuffix("-1") for path in HERE.glob("*.json"))])


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a document.

    Raises:
        UnknownName: there is no such document.

    >>> schema("list")["properties"]["schema"]
    {'const': 'rfcalc/list/1'}
    """
    if name not in names():
        raise UnknownName("document", name, names())
    written = HERE / f"{name}-1.json"
    if written.exists():
        found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
        return found
    module = import_module(f"{__name__}.{name}_" if name == "list" else f"{__name__}.{name}")
    objects: dict[str, Any] = {}
    whole = _of(module.DOCUMENT, objects)
    if len(whole) == 1 and "$ref" in whole:
        whole = objects.pop(module.DOCUMENT.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"rfcalc/{name}/1",
        "title": (module.__doc__ or "").strip().rstrip("."),
        **whole,
        **({"$defs": objects} if objects else {}),
    }


def _of(kind: Any, objects: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; objects that it names are added to `objects`."""
    if kind is Any:
        return {}
    scalar = next((name for told, name in _SCALARS if told is kind), None)
    if scalar is not None:
        return {"type": scalar}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if is_typeddict(kind):
        if kind.__name__ not in objects:
            objects[kind.__name__] = {}
            objects[kind.__name__] = _of_object(kind, objects)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        made = _of(parts[0], objects)
        for told in parts[1:]:
            made = {**made, **({"description": told} if isinstance(told, str) else dict([told]))}
        return made
    if origin is NotRequired:
        return _of(parts[0], objects)
    if origin is Literal:
        return {"const": parts[0]} if len(parts) == 1 else {"enum": list(parts)}
    if origin in (Union, UnionType):
        found = [_of(part, objects) for part in parts]
        if all(len(x) == 1 and "type" in x for x in found):
            return {"type": [x["type"] for x in found]}
        return {"anyOf": found}
    if origin is list:
        items = _of(parts[0], objects)
        return {"type": "array", **({"items": items} if items else {})}
    if origin is tuple:
        count = len(parts)
        each = [_of(part, objects) for part in parts]
        return {"type": "array", "prefixItems": each, "minItems": count, "maxItems": count}
    if origin is dict:
        values = _of(parts[1], objects)
        return {"type": "object", **({"additionalProperties": values} if values else {})}
    raise TypeError(f"{kind!r} has no place in JSON")


def _of_object(kind: Any, objects: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        "type": "object",
        **({"description": kind.__doc__} if kind.__doc__ else {}),
        "additionalProperties": False,
        "required": [name for name, hint in hints.items() if get_origin(hint) is not NotRequired],
        "properties": {name: _of(hint, objects) for name, hint in hints.items()},
    }
