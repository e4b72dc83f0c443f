"""What a module is called with: shapes, numbers, dictionaries and lists of them, and tensors, as the user gave them.

1. A shape is without the batch, and of the module's dtype; ``int64:16`` says another one.
2. A number is an axis (``16000`` samples, 64 features) where it is all that is given, or where all are numbers. Beside
   an input of several axes it is a value for each item of the batch (``t=7``: timesteps), else a number, else an axis.
3. ``batch.rgb`` is an entry of a dictionary, ``maps.0`` of a list. Nested dictionaries and lists are taken as they are.
4. Of tensors shape and dtype are taken; their first axis is the batch. What is no tensor and no shape is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from itertools import chain, product
from typing import Any, NamedTuple

import torch

from rfcalc.core.errors import NetworkError, RfcalcError, UnknownName, noun, plural, suggestion
from rfcalc.core.shape import Shape

DEFAULT_INPUT = "3x224x224"


class Leaf(NamedTuple):
    """A tensor among the inputs: its name, its shape with the batch, its dtype; for values given, what they are."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    value: float | None = None


class ForwardCall(NamedTuple):
    """Arguments of `forward`, with `Leaf` where tensors are; what was taken for granted."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The tensors, in order; one by itself is called input, as everywhere."""
        found = tuple(_leaves((*self.args, *self.kwargs.values())))
        return (found[0]._replace(name="input"),) if len(found) == 1 else found

    @property
    def shapes(self) -> dict[str, Shape] | None:
        """The maps that were given, by name and without the batch; None if none was given."""
        if any("none was given" in note for note in self.notes):
            return None
        return {leaf.name: Shape(*leaf.shape[1:]) for leaf in self.leaves if len(leaf.shape) > 1}

    def filled(self, make: Callable[[Leaf], torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with tensors in their places."""
        made = iter([make(leaf) for leaf in self.leaves])
        return tuple(_changed((self.args, self.kwargs), lambda _: next(made)))

    def of_batch(self, count: int) -> ForwardCall:
        """The same with another batch."""
        return self.mapped(lambda leaf: leaf._replace(shape=(count, *leaf.shape[1:])))

    def mapped(self, change: Callable[[Leaf], Leaf]) -> ForwardCall:
        """The same with other tensors."""
        args, kwargs = _changed((self.args, self.kwargs), change)
        return ForwardCall(args, kwargs, self.notes)

    @property
    def told(self) -> str:
        """The inputs in words."""
        return ", ".join(f"{leaf.name} {'x'.join(map(str, leaf.shape[1:])) or 'of one value'}" for leaf in self.leaves)


def _changed(value: Any, change: Callable[[Leaf], Any]) -> Any:
    """Nested arguments with something else for each tensor, in order."""
    if isinstance(value, Leaf):
        return change(value)
    if isinstance(value, dict):
        return {k: _changed(v, change) for k, v in value.items()}
    return type(value)(_changed(v, change) for v in value) if type(value) in (list, tuple) else value


def _leaves(value: Any) -> Iterator[Leaf]:
    if isinstance(value, Leaf):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from _leaves(v)
    elif type(value) in (list, tuple):
        for v in value:
            yield from _leaves(v)


class _Choice(NamedTuple):
    """A number as it was given, and what it may be, the likeliest first."""

    options: tuple[tuple[Any, str], ...]


def calls(module: torch.nn.Module, given: Any) -> list[ForwardCall]:
    """What the user gave as calls to try, the likeliest first; a call is itself.

    Raises:
        RfcalcError: a name that `forward` does not have, or what is no input.
    """
    if isinstance(given, ForwardCall):
        return [given]
    taken = Arguments.of(module)
    held = chain(module.parameters(), module.buffers())
    kinds = [t.dtype for t in held if t.dtype.is_floating_point or t.dtype.is_complex]
    kind = kinds[0] if kinds else torch.float32
    notes: tuple[str, ...] = ()
    if given is None:
        if len(taken.required) > 1:
            raise NetworkError(
                f"{type(module).__name__} has {len(taken.required)} inputs",
                fix="give a shape for each: " + " ".join(f"{n}=3x224x224" for n in taken.required),
            )
        given = DEFAULT_INPUT
        notes = (f"the input is {DEFAULT_INPUT}: none was given",)
    named = taken.named(given)
    several = sum(1 for _ in _all(named)) > 1
    mixed = several and any(_axes(v) > 1 for v in _all(named))
    tried: list[ForwardCall] = []
    for dtype in (kind, kind.to_real()) if kind.is_complex else (kind,):  # complex weights may meet real inputs
        entries = {n: _entry(n, v, dtype, several, mixed, n in taken.numbers) for n, v in named.items()}
        tried += [taken.call(found, (*notes, *told)) for found, told in _chosen(entries)]
    return tried


class Arguments(NamedTuple):
    """The arguments of `forward`: those by position, those that have no default, ``*args`` and ``**kwargs``."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    many: str = ""
    others: bool = False
    numbers: tuple[str, ...] = ()  # said to be numbers, not tensors

    @classmethod
    def of(cls, module: torch.nn.Module) -> Arguments:
        if isinstance(module, torch.jit.ScriptModule):
            arguments = module._c._get_method("forward").schema.arguments[1:]
            needed = tuple(a.name for a in arguments if not a.has_default_value())
            return cls(tuple(a.name for a in arguments), needed)
        found = list(signature(module.forward).parameters.values())
        return cls(
            tuple(p.name for p in found if p.kind < p.VAR_POSITIONAL),
            tuple(p.name for p in found if p.default is p.empty and p.kind < p.VAR_POSITIONAL),
            tuple(p.name for p in found if p.kind == p.KEYWORD_ONLY),
            next((p.name for p in found if p.kind == p.VAR_POSITIONAL), ""),
            any(p.kind == p.VAR_KEYWORD for p in found),
            tuple(p.name for p in found if p.annotation in _NUMBERS or type(p.default) in (int, float)),
        )

    def named(self, given: Any) -> dict[str, Any]:
        """What was given by argument; more than there are names for goes to ``*args``, as a tuple.

        Raises:
            RfcalcError: names that there are not, or an input without a shape.
        """
        if isinstance(given, Mapping):
            return self._by_name(given)
        if not _is_sequence(given):
            given = (given,)
        places = list(given)
        count = len(self.names)
        found = dict(zip(self.names, places, strict=False))
        if len(places) > count:
            if self.many:
                found[self.many] = tuple(places[count:])
            elif self.names or len(places) > 1:
                raise NetworkError(
                    f"{len(places)} inputs are given, and forward takes {count}: {', '.join(self.names) or 'none'}"
                )
            else:
                found["input"] = places[0]
        missing = [n for n in self.required if n not in found]
        if missing:
            told = f"{plural(len(places), 'shape')} {noun(len(places), 'is', 'are')} given"
            raise NetworkError(
                f"forward takes {plural(len(self.required), 'input')}, and {told}",
                fix="give one for each: " + " ".join(f"--input {n}=…" for n in self.required),
            )
        return found

    def _by_name(self, given: Mapping[Any, Any]) -> dict[str, Any]:
        known = (*self.names, *self.keywords, *([self.many] if self.many else ()))
        if len(given) == 1 and "input" in given and "input" not in known and known:
            return {known[0]: given["input"]}
        strange = not self.others and not any(str(n).partition(".")[0] in known for n in given)
        if strange and len(self.required) == 1 and any(isinstance(v, (torch.Tensor, tuple)) for v in given.values()):
            return {self.required[0]: dict(given)}  # the dictionary is the input itself
        found: dict[str, Any] = {}
        for name, value in given.items():
            first, *path = str(name).split(".")
            if first not in known and not self.others:
                near = suggestion(first, known)
                raise NetworkError(
                    f"there is no input {first!r}",
                    why=f"forward takes {', '.join(known)}",
                    fix=near if near.startswith("did") else None,
                )
            if path:
                at = found.setdefault(first, {})
                for part in path[:-1]:
                    at = at.setdefault(part, {})
                at[path[-1]] = value
            else:
                found[first] = value
        missing = [n for n in self.required if n not in found]
        if missing:
            raise NetworkError(f"the input {missing[0]!r} has no shape", why=f"forward takes {', '.join(known)}")
        return {n: _listed(found[n]) for n in (*known, *found) if n in found}

    def call(self, entries: Mapping[str, Any], notes: tuple[str, ...]) -> ForwardCall:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        gap = False
        for name in self.names:
            gap = gap or name not in entries
            if name in entries:
                if gap:
                    kwargs[name] = entries[name]
                else:
                    args.append(entries[name])
        for name, value in entries.items():
            if name == self.many and name:
                args += value if type(value) in (tuple, list) else [value]
            elif name not in self.names:
                if name in self.keywords or self.others:
                    kwargs[name] = value
                else:
                    args.append(value)
        return ForwardCall(tuple(args), kwargs, notes)


def _is_sequence(given: Any) -> bool:
    """Whether it is a list of inputs, not a shape."""
    return (
        isinstance(given, (list, tuple))
        and bool(given)
        and any(isinstance(v, (torch.Tensor, str, Shape, tuple, list, dict)) for v in given)
    )


def _listed(value: Any) -> Any:
    """Entries with numbers for names are those of a list."""
    if not isinstance(value, dict):
        return value
    inner = {k: _listed(v) for k, v in value.items()}
    if inner and all(isinstance(k, str) and k.isdecimal() and k.isascii() for k in inner):
        return [inner[k] for k in sorted(inner, key=int)]
    return inner


def _all(value: Any) -> Iterator[Any]:
    """What stands for tensors in what was given."""
    if isinstance(value, Mapping):
        for v in value.values():
            yield from _all(v)
    elif _is_sequence(value):
        for v in value:
            yield from _all(v)
    else:
        yield value


def _axes(value: Any) -> int:
    """How many axes a given thing has, without the batch."""
    if isinstance(value, torch.Tensor):
        return max(value.dim() - 1, 0)
    if isinstance(value, Shape):
        return len(value.dims)
    if isinstance(value, str):
        return value.rpartition(":")[2].count("x") + 1
    return len(value) if isinstance(value, Sequence) else 0


def _entry(name: str, value: Any, kind: torch.dtype, several: bool, mixed: bool, plain: bool = False) -> Any:
    """A given thing with `Leaf` for its tensors, and `_Choice` for numbers."""
    if isinstance(value, Mapping):
        return {k: _entry(f"{name}.{k}", v, kind, several, mixed) for k, v in value.items()}
    if _is_sequence(value):
        inner = [_entry(f"{name}.{i}", v, kind, several, mixed) for i, v in enumerate(value)]
        return tuple(inner) if isinstance(value, tuple) else inner
    if isinstance(value, torch.Tensor):
        return _of_tensor(name, value, several)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        sort, sign, text = value.rpartition(":")
        if sign:
            return Leaf(name, (1, *_dims(text)), _dtype(sort, kind))
        number = _number(value)
        if number is None:
            return Leaf(name, (1, *_dims(value)), kind)
        value = number
    if isinstance(value, (int, float)):
        if plain:
            return _Choice(((value, f"{name} is the number {value}"),))
        if not several:
            return Leaf(name, (1, *_dims(str(value))), kind)
        return _of_number(name, value, kind, mixed)
    return Leaf(name, (1, *_dims(value)), kind)


def _dims(value: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in Shape.of(value).dims)


def _of_tensor(name: str, value: torch.Tensor, several: bool) -> Any:
    if value.dim() == 0:
        return value
    if value.dim() == 1 and not several:
        raise RfcalcError(
            f"a tensor of shape {tuple(value.shape)} has no batch axis", fix="give it with one, or a shape"
        )
    return Leaf(name, (1, *(int(n) for n in value.shape[1:])), value.dtype)


def _of_number(name: str, value: float, kind: torch.dtype, mixed: bool) -> Any:
    values = [
        (Leaf(name, (1,), torch.int64, value), f"{name} is a value for each item of the batch: {value}"),
        (Leaf(name, (1,), kind, value), f"{name} is a value for each item of the batch: {value}"),
        (value, f"{name} is the number {value}"),
    ]
    if isinstance(value, float):
        return _Choice(tuple(values[1:]))
    axis = (Leaf(name, (1, value), kind), "") if value > 0 else None
    if axis is None:
        return _Choice(tuple(values))
    return _Choice((*values, axis)) if mixed else axis[0]


def _number(text: str) -> float | None:
    """The number that a text is; None if it is none, or not written in plain digits."""
    plain = text.strip()
    if not plain.isascii() or "_" in plain or plain[:1] not in "+-.0123456789":
        return None
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return float(plain)
    except ValueError:
        return None


_NUMBERS = (int, float, "int", "float")
_DTYPES = ("int64", "int32", "int16", "int8", "uint8", "bool", "float32", "float16", "bfloat16", "float64", "complex64")
_SHORT = {"long": "int64", "int": "int64", "half": "float16", "float": "float32", "double": "float64"}


def _dtype(name: str, kind: torch.dtype) -> torch.dtype:
    """The dtype of a name.

    Raises:
        UnknownName: there is none of this name.
    """
    full = _SHORT.get(name.strip(), name.strip())
    if full not in _DTYPES:
        raise UnknownName("dtype", name, list(_DTYPES))
    found: torch.dtype = getattr(torch, full)
    return found


def _chosen(entries: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """The entries with one option for each number, the likeliest first; numbers of one sort go together."""
    places: list[_Choice] = []

    def look(value: Any) -> None:
        if isinstance(value, _Choice):
            places.append(value)
        elif isinstance(value, dict):
            for v in value.values():
                look(v)
        elif type(value) in (list, tuple):
            for v in value:
                look(v)

    def put(value: Any, picks: Iterator[int]) -> Any:
        if isinstance(value, _Choice):
            return value.options[next(picks)][0]
        if isinstance(value, dict):
            return {k: put(v, picks) for k, v in value.items()}
        if type(value) in (list, tuple):
            return type(value)(put(v, picks) for v in value)
        return value

    look(dict(entries))
    ranges = [range(len(c.options)) for c in places]
    orders = product(*ranges) if len(places) < 4 else [tuple([i] * len(places)) for i in range(min(map(len, ranges)))]
    for picks in orders:
        at = iter(picks)
        notes = tuple(c.options[i][1] for c, i in zip(places, picks, strict=True) if c.options[i][1])
        yield {n: put(v, at) for n, v in entries.items()}, notes
