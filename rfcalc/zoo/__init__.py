"""The networks of the literature: one file a family, which holds data and one builder.

A family file has `FAMILY`, a `Family`: its networks by name, each a title, a citation and a function that builds it.
A name is looked up in the files whose own name it begins with, before all are loaded; dashes, dots and slashes in it
may be left out (``vitb16`` is ``vit-b-16``). A file whose name begins with an underscore is no family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from sys import modules
from typing import Any, NamedTuple

from rfcalc.core import fold
from rfcalc.core.errors import UnknownName
from rfcalc.graph.network import Network


class Entry(NamedTuple):
    """One network of the zoo: `build(**options)` makes it."""

    name: str
    title: str
    citation: str
    build: Callable[..., Network]


class Family(NamedTuple):
    """Networks that go by one name, of one paper or several."""

    name: str
    entries: tuple[Entry, ...]


@cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_")))


def _family(file: str) -> Family:
    family: Family = import_module(f"rfcalc.zoo.{file}").FAMILY
    return family


def find(name: str, *, everywhere: bool = True) -> Entry | None:
    """The entry of this name, or None; unless `everywhere`, only of a file whose own name the name begins with."""
    key = _plain(fold(name))
    likely = [f for f in _files() if key.startswith(_plain(f))]
    others = (f for f in _files() if everywhere and f not in likely)
    for file in [*sorted(likely, key=len, reverse=True), *others]:
        for entry in _family(file).entries:
            if _plain(entry.name) == key:
                return entry
    return None


def _plain(name: str) -> str:
    return "".join(c for c in name if c not in "-_./")


def relatives(name: str) -> tuple[Entry, ...]:
    """The entries of the family that a network belongs to; none for a name that is no network's."""
    entry = find(name)
    for file in _files():
        if entry is not None and f"rfcalc.zoo.{file}" in modules and entry in _family(file).entries:
            return _family(file).entries
    return ()


def families() -> Iterator[Family]:
    """Every family, by the names of their files."""
    return map(_family, _files())


def entries() -> Iterator[Entry]:
    """Every network, family by family."""
    for family in families():
        yield from family.entries


def networks(pattern: str = "*") -> list[str]:
    """The names of the networks of the literature that rfcalc brings, family by family.

    Args:
        pattern: only names like this: ``*`` stands for anything, ``?`` for one character.

    >>> networks("vgg1?")
    ['vgg11', 'vgg13', 'vgg16', 'vgg19']
    """
    return [entry.name for entry in entries() if pattern == "*" or fnmatchcase(entry.name, pattern.lower())]


def build(name: str, **options: Any) -> Network:
    """Build a network of the zoo.

    Raises:
        UnknownName: with the nearest names.

    >>> build("vgg16").name
    'vgg16'
    """
    entry = find(name)
    if entry is None:
        raise UnknownName("network", name, networks(), fix="`rfcalc list` shows them all")
    return entry.build(**options)
