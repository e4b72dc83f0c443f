"""The classes of written source: blocks that differ in numbers only become one class with these numbers as arguments.

A block's body is text. Its numbers are taken out; bodies that are equal without them are uses of one class. A number
that is the same in all uses stays in the class; numbers that always agree with one another are one argument. Where a
block stands inside another, its call is kept as a mark with all its numbers, ``⟦key|64, 3⟧``, until all uses are known.
Imports nothing of PyTorch.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple

from rfcalc.backend.emit import indented

NUMBER = re.compile(r"(?<![\w.'\"])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])")  # no name in quotation marks
MARK = re.compile(r"⟦(\w+)\|([^⟦⟧]*)⟧")
MOST = 8  # arguments of a class; blocks that would need more are written apart
WORDS = {
    "Conv1d": ("in", "out", "kernel"),
    "Conv2d": ("in", "out", "kernel"),
    "Conv3d": ("in", "out", "kernel"),
    "Linear": ("in", "out"),
    "BatchNorm2d": ("features",),
    "LayerNorm": ("features",),
    "MultiheadAttention": ("features", "heads"),
    "SelfAttention": ("features", "heads"),
    "WindowAttention": ("features", "heads"),
}


class Argument(NamedTuple):
    """A name, and the columns (numbers of the body, in order) that it stands for."""

    name: str
    columns: tuple[int, ...]


class Kind:
    """One class: its body without numbers, and the numbers of every use."""

    def __init__(self, key: str, name: str, skeleton: str) -> None:
        self.key = key
        self.name = name
        self.skeleton = skeleton
        self.uses: list[tuple[str, ...]] = []

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The numbers that differ, in the order of the body; asked for when all uses are known."""
        columns = list(zip(*self.uses, strict=True))
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, values in enumerate(columns):
            if len(set(values)) > 1:
                groups.setdefault(values, []).append(i)
        labels = _labels(self.skeleton)
        taken: set[str] = set()
        found = []
        for group in groups.values():
            name = labels[group[0]]
            while name in taken:
                name += "_"
            taken.add(name)
            found.append(Argument(name, tuple(group)))
        return tuple(found)


class Classes:
    """All classes of a file."""

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken)
        self._kinds: dict[tuple[str, str], Kind] = {}

    def instance(self, label: str, body: str) -> str:
        """A mark for the call that makes a block with this body."""
        skeleton = NUMBER.sub("§", body)
        kind = self._kinds.get((label, skeleton))
        if kind is None:
            key = "k" + "".join(chr(97 + int(d)) for d in str(len(self._kinds)))
            kind = self._kinds[label, skeleton] = Kind(key, "", skeleton)
        numbers = tuple(NUMBER.findall(body))
        kind.uses.append(numbers)
        return f"⟦{kind.key}|{', '.join(numbers)}⟧"

    def settle(self) -> None:
        """Give every class its name, once all uses are known; those of too many arguments fall apart."""
        apart: dict[tuple[str, str], Kind] = {}
        for (label, skeleton), kind in self._kinds.items():
            if len(kind.arguments) <= MOST:
                apart[label, skeleton] = kind
                continue
            for i, numbers in enumerate(dict.fromkeys(kind.uses)):
                one = Kind(f"{kind.key}_{_letters(i)}", "", skeleton)
                one.uses = [numbers]
                apart[f"{label}/{_letters(i)}", skeleton] = one
        self._kinds = apart
        names: dict[str, int] = {}
        for label, _ in apart:
            names[label.partition("/")[0]] = names.get(label.partition("/")[0], 0) + 1
        given: dict[str, int] = {}
        for (label, _), kind in apart.items():
            base = label.partition("/")[0]
            count = given[base] = given.get(base, 0) + 1
            name = base if names[base] == 1 else f"{base}{_letters(count - 1).upper()}"
            while name in self._taken:
                name += "Block"
            self._taken.add(name)
            kind.name = name

    def filled(self, text: str) -> str:
        """A text with calls in the places of marks."""
        while MARK.search(text):
            text = MARK.sub(self._call, text)
        return text

    def _call(self, mark: re.Match[str]) -> str:
        given = mark[2].split(", ") if mark[2] else []
        kind = self._find(mark[1], tuple(given))
        arguments = kind.arguments
        told = [given[a.columns[0]] for a in arguments]
        if len(arguments) > 1:
            told = [f"{a.name}={v}" for a, v in zip(arguments, told, strict=True)]
        return f"{kind.name}({', '.join(told)})"

    def _find(self, key: str, numbers: tuple[str, ...]) -> Kind:
        for kind in self._kinds.values():
            if kind.key == key or (kind.key.startswith(f"{key}_") and kind.uses == [numbers]):
                return kind
        raise KeyError(key)

    def written(self) -> list[str]:
        """The text of every class, those inside others first."""
        return [self._class(kind) for kind in self._kinds.values()]

    def _class(self, kind: Kind) -> str:
        names: dict[int, str] = {}
        for argument in kind.arguments:
            names.update(dict.fromkeys(argument.columns, argument.name))
        columns = iter(range(len(kind.uses[0])))
        begin, end = kind.skeleton.split("\n\ndef forward", 1)
        in_forward = set(range(begin.count("§"), len(kind.uses[0])))

        def value(_: re.Match[str]) -> str:
            i = next(columns)
            if i not in names:
                return kind.uses[0][i]
            return f"self.{names[i]}" if i in in_forward else names[i]

        body = re.sub("§", value, f"{begin}\n\ndef forward{end}")
        kept = [a.name for a in kind.arguments if in_forward & set(a.columns)]
        if kept:
            first = "super().__init__()\n"
            body = body.replace(first, first + "".join(f"    self.{name} = {name}\n" for name in kept), 1)
        takes = "".join(f", {a.name}: {_type(kind, a)}" for a in kind.arguments)
        body = body.replace("def __init__(self)", f"def __init__(self{takes})", 1)
        return f"class {kind.name}(nn.Module):\n{indented(self.filled(body))}"


def _type(kind: Kind, argument: Argument) -> str:
    values = [use[argument.columns[0]] for use in kind.uses]
    return "int" if all(v.isdecimal() for v in values) else "float"


def _letters(i: int) -> str:
    text = ""
    i += 1
    while i:
        i, rest = divmod(i - 1, 26)
        text = chr(97 + rest) + text
    return text


def _labels(skeleton: str) -> list[str]:
    """A name for every number of a body, after the attribute, the layer and the place in its call."""
    found = []
    for line in skeleton.split("\n"):
        for match in re.finditer("§", line):
            before = line[: match.start()]
            named = re.search(r"(\w+)=\(?(?:§, )*$", before)
            attribute = re.findall(r"(?:self\.|^\s*|\()(\w+)\s*=\s*", before)
            maker = re.findall(r"(\w+)\(", before)
            place = before[before.rfind("(") + 1 :].count("§")
            words = WORDS.get(maker[-1], ()) if maker else ()
            word = named[1] if named and "(" in before else words[place] if place < len(words) else "size"
            owner = attribute[0] if attribute and attribute[0] != word else maker[-1].lower() if maker else ""
            found.append(f"{owner}_{word}".strip("_") if owner.isidentifier() else word)
    return found
