"""A whole lesson from one file: a title, a seed, and what the sheet asks for, in order (TOML).

::

    title = "Lesson 3: what a unit sees"
    seed = "spring"

    [[items]]                              # three items of a family
    family = "receptive-field"
    difficulty = 1
    count = 3

    [[items]]                              # one pattern, with numbers of your own
    pattern = "output-size.window-on-square.one-layer"
    numbers = "kernel=5, stride=2"

    [[items]]                              # a table of your own network
    network = "conv5-8 > maxpool2 > conv3-16"
    input = "3x32x32"
    blank = "output,rf"

    [[items]]                              # an item that was made before
    id = "concepts.padding-and-field.statement.v4-0000000000000"
"""

from __future__ import annotations

import tomllib
from typing import Any

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.readers.target import named
from rfcalc.teaching.exercises.bank import exercises, fixed, item
from rfcalc.teaching.exercises.item import ExerciseItem
from rfcalc.teaching.own_tables import table_of

HEAD = ("title", "seed", "items")
DRAWN = ("family", "form", "difficulty", "count")
FIXED = ("pattern", "numbers", "difficulty", "count")
TABLE = ("network", "input", "blank", "rows", "batch", "dtype", "title")
MOST = 1000  # items of a sheet


def sheet(text: str, where: str = "the sheet", student: str = "") -> tuple[str, str, list[ExerciseItem]]:
    """The title, the seed and the items of a sheet.

    Args:
        text: of the file.
        where: what messages call it.
        student: whose sheet it is: each student gets other numbers.

    Raises:
        RfcalcError: it is no TOML, or asks for what there is not; the message names the entry.

    >>> title, seed, found = sheet('title = "T"\\n[[items]]\\nnetwork = "conv3-8 > maxpool2"\\nblank = "rf"')
    >>> title, [b.key for b in found[0].blanks]
    ('T', ['3', '4'])
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RfcalcError(f"this is not TOML: {error}", where=where) from None
    _known(data, HEAD, where)
    entries = data.get("items")
    if not isinstance(entries, list) or not entries:
        raise RfcalcError("there are no items", where=where, fix='write [[items]] and a family = "receptive-field"')
    title, seed = str(data.get("title", "Exercises")), str(data.get("seed", "0"))
    found: list[ExerciseItem] = []
    for number, entry in enumerate(entries, 1):
        place = f"{where}, items[{number}]"
        try:
            found += _made(entry, f"{seed}/{number}", student, place)
        except RfcalcError as error:
            raise error if error.where and place in error.where else error.at(place) from None
        if len(found) > MOST:
            raise RfcalcError("the sheet is too long", where=where, why=f"the limit is {MOST:,} items")
    return title, seed, found


def _made(entry: Any, seed: str, student: str, place: str) -> list[ExerciseItem]:
    if not isinstance(entry, dict):
        raise RfcalcError("an entry is a table", where=place, fix="write [[items]]")
    if "id" in entry:
        _known(entry, ("id",), place)
        return [item(_text(entry, "id", place))]
    if "network" in entry:
        _known(entry, TABLE, place)
        told = {name: _text(entry, name, place) for name in TABLE if name in entry and name != "batch"}
        target = told.pop("network")
        if named(target).sort == "code":
            raise RfcalcError("a sheet runs no code", where=place, fix=f"rfcalc exercise --network {target}")
        return [table_of(target, told.pop("input", None), batch=_whole(entry, "batch", place), **told)]
    count = _whole(entry, "count", place)
    level = _whole(entry, "difficulty", place) if "difficulty" in entry else None
    if "pattern" in entry:
        _known(entry, FIXED, place)
        name, numbers = _text(entry, "pattern", place), _text(entry, "numbers", place)
        return [fixed(name, f"{seed}/{student}/{i}", numbers, level) for i in range(count)]
    _known(entry, DRAWN, place)
    told = {name: _text(entry, name, place) for name in ("family", "form") if name in entry}
    return exercises(count, seed, difficulty=level, student=student or None, **told)


def _known(entry: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in entry:
        if name not in names:
            raise UnknownName("entry", name, names).at(where)


def _text(entry: dict[str, Any], name: str, where: str) -> str:
    found = entry.get(name, "")
    if not isinstance(found, str):
        raise RfcalcError(f"{name} is a text", where=where, why=f"it is {found!r}")
    return found


def _whole(entry: dict[str, Any], name: str, where: str) -> int:
    found = entry.get(name, 1)
    if type(found) is not int or not 1 <= found <= MOST:
        raise RfcalcError(f"{name} is a whole number from 1 to {MOST:,}", where=where, why=f"it is {found!r}")
    return found
