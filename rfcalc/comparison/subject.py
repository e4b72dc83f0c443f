"""What is compared: several targets read for one common input, so that their figures can stand side by side.

Targets are those of `rfcalc.readers.target`; notation may also have names for sizes (``conv3-C``). The input is the
one that is given; else the one that the networks bring along, which must be equal; else, with symbols, the channels of
the first layer with H×W; else 3x224x224.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from rfcalc.core.errors import NetworkError, NotationError, OpenRepetition, RfcalcError, UnknownName
from rfcalc.core.index import Expression, Var, bind
from rfcalc.core.integers import read as read_size
from rfcalc.core.shape import Shape
from rfcalc.core.size import Algebra, Size, walking_with
from rfcalc.graph.network import Network
from rfcalc.notation.parse import Reading
from rfcalc.readers.target import DEFAULT_INPUT, doubts, named
from rfcalc.readers.target import numbers as plain
from rfcalc.report import Report

LONGEST = 26  # characters of a name that heads a column
SPATIAL = ("H", "W")

Values = Mapping[str, Size]
Dims = tuple[Any, ...]  # of a shape: numbers, and names still to be put in


class ComparedNetwork(NamedTuple):
    """One network of a comparison: a short label, what the user called it, its report.

    `written`: it is notation, not a network with a name of its own; `assumed`: what was taken for granted of symbols;
    `algebra`: what the symbols were walked with, if there are `symbols`.
    """

    label: str
    name: str
    report: Report
    written: bool = False
    assumed: tuple[str, ...] = ()
    algebra: Algebra | None = None
    symbols: tuple[str, ...] = ()

    @property
    def input(self) -> str:
        """Its inputs, as text."""
        shapes = self.report.inputs
        if len(shapes) == 1:
            return str(next(iter(shapes.values())))
        return ", ".join(f"{name} {shape}" for name, shape in shapes.items())

    @property
    def assumptions(self) -> tuple[str, ...]:
        """All that was taken for granted, in sentences."""
        return (*self.report.assumptions, *self.assumed)

    def like(self, network: Network) -> Report:
        """Another network, walked with the same input, batch and dtype."""
        report = self.report
        with walking(self):
            return Report(network, next(iter(report.inputs.values())), batch=report.batch, dtype=report.dtype)


@contextmanager
def walking(subject: ComparedNetwork) -> Iterator[None]:
    """While the block runs, the rules take for granted of symbols what was settled for the subject."""
    if subject.algebra is None:
        yield
        return
    with walking_with(subject.algebra):
        yield


class _Read(NamedTuple):
    """A target: its network once values are put in for `names`, the symbols in its text."""

    name: str
    make: Callable[[Values], Network]
    inputs: dict[str, Shape | None]
    written: bool
    assumptions: tuple[str, ...]
    names: tuple[str, ...] = ()
    channel: str = ""

    @property
    def brings_input(self) -> bool:
        return None not in self.inputs.values()


def read(
    targets: Sequence[Any],
    given: Any = None,
    *,
    numbers: Mapping[str, int] | None = None,
    own_inputs: bool = False,
    batch: Size = 1,
    dtype: str | None = None,
) -> tuple[ComparedNetwork, ...]:
    """The networks, analysed for one input.

    Args:
        targets: names of networks, notation, `Network` values, …
        given: the input of all: ``"3x224x224"``, ``"CxHxW"``, a shape, or shapes by name or in order.
        numbers: numbers for symbols by name.
        own_inputs: each at its own default input, even where these differ.
        batch, dtype: as for `rfcalc.analyze`.

    Raises:
        RfcalcError: inputs that clash or do not fit, a symbol that stands nowhere.
    """
    found = [_resolve(target, plain(given)) for target in targets]
    shapes = _dims_of(given)
    common = None if own_inputs or given is not None else _common(found)
    sizes = dict.fromkeys(n for s in _listed(shapes if given is not None else common) for n in _names(s))
    symbols = dict.fromkeys([*(n for f in found for n in f.names), *sizes])
    for name in numbers or ():
        if name not in symbols:
            raise UnknownName("symbol", name, list(symbols), fix=None if symbols else "the networks have no symbols")

    def build(values: Values) -> list[Report]:
        reports = []
        for f in found:
            used = _put(shapes, values) if given is not None else None if f.brings_input else _put(common, values)
            told = given is None and not f.brings_input and not symbols
            said = (f"the input is {used}: none was given",) if told else doubts(f.inputs, given)
            assumed = (*said, *f.assumptions)
            reports.append(_analysed(f, used, values, assumed, batch, dtype or "float32"))
        return reports

    fixed = dict(numbers or {})
    open_names = [n for n in symbols if n not in fixed]
    assumed: tuple[str, ...] = ()
    algebra: Algebra | None = None
    if open_names:
        from rfcalc.comparison.formulas import walked

        reports, assumed, algebra = walked(
            lambda values: build({**values, **fixed}), open_names, [n for n in sizes if n not in fixed]
        )
    else:
        reports = build(fixed)
    labels = _labels([f.name for f in found], open_names)
    return tuple(
        ComparedNetwork(label, f.name, report, f.written, assumed, algebra, tuple(open_names))
        for label, f, report in zip(labels, found, reports, strict=True)
    )


def _resolve(target: Any, given: Any = None) -> _Read:
    """A target, with symbols where notation has names in it; a model may need the input to be read at all."""
    asked = named(target)
    if asked.open:
        assert asked.reading is not None
        return _symbolic(asked.name, asked.reading)
    found = asked.read(given)
    network = found.network
    written = None in network.inputs.values()
    return _Read(found.name, lambda values: network, dict(network.inputs), written, found.assumptions)


def _symbolic(name: str, reading: Reading) -> _Read:
    """Notation with names for sizes."""
    names = dict.fromkeys(n for value in reading.symbolic for n in _names(value))
    head = reading.header
    about = {"outputs": head.outputs, "name": head.name, "title": head.title, "citation": head.citation}
    inputs = dict(head.inputs) or {"input": None}

    def make(values: Values) -> Network:
        put = {n: v for n, v in values.items() if n in names}
        return Network(reading.expr.bind(put), inputs, **about)  # type: ignore[arg-type]

    written = None in inputs.values()
    return _Read(name, make, inputs, written, reading.assumptions, tuple(names), reading.channel)


def _names(value: Any) -> list[str]:
    """The names in an expression, from left to right."""
    if not isinstance(value, Expression):
        return []
    return [*_names(value.left), *_names(value.right)] if value.sign else [str(value)]


def _labels(names: Sequence[str], symbols: Sequence[str]) -> list[str]:
    """What heads the columns: the names where they are short and all different, else letters."""
    short = all(len(n) <= LONGEST and "\n" not in n for n in names)
    return list(names) if short and len(set(names)) == len(names) else letters(len(names), symbols)


def letters(count: int, symbols: Sequence[str] = ()) -> list[str]:
    """A, B, C, …; #1, #2, … where these are symbols, or do not suffice.

    >>> letters(2), letters(2, ["B"])
    (['A', 'B'], ['#1', '#2'])
    """
    found = [chr(ord("A") + i) for i in range(min(count, 26))]
    return found if count <= 26 and not set(found) & set(symbols) else [f"#{i + 1}" for i in range(count)]


def _dims_of(given: Any) -> Any:
    """The inputs as numbers and names: by name, in their order, or the only one."""
    if isinstance(given, Mapping):
        return {n: _dims(s) for n, s in given.items()}
    return [_dims(s) for s in given] if type(given) is list else _dims(given)


def _dims(given: Any) -> Dims | Shape | None:
    """An input as numbers and names; a shape where it is one already.

    Raises:
        RfcalcError: what is neither.
    """
    if not isinstance(given, str):
        return None if given is None else Shape.of(given)
    parts = [p.strip() for p in given.strip().replace("×", "x").replace(",", "x").split("x")]
    if all(p.isdecimal() for p in parts):
        return Shape.parse(given)
    try:
        found = tuple(read_size(p) for p in parts)
        if any(isinstance(d, int) and d < 1 for d in found):
            raise NotationError("every size is at least 1")
    except NotationError:
        raise RfcalcError(
            f"{given!r} is not a shape",
            why="a shape is whole numbers ≥ 1 or names, channels first, without the batch",
            fix="write it like 3x224x224 or CxHxW",
        ) from None
    return found


def _listed(shapes: Any) -> list[Any]:
    """The sizes of an input, or of several by name."""
    if isinstance(shapes, dict):
        return [d for s in shapes.values() for d in _listed(s)]
    if type(shapes) is list:
        return [d for s in shapes for d in _listed(s)]
    return [] if shapes is None else list(shapes.dims if isinstance(shapes, Shape) else shapes)


def _put(shapes: Any, values: Values) -> Any:
    """An input with values put in for its names."""
    if isinstance(shapes, dict):
        return {name: _put(s, values) for name, s in shapes.items()}
    if type(shapes) is list:
        return [_put(s, values) for s in shapes]
    return shapes if shapes is None or isinstance(shapes, Shape) else Shape(*bind(shapes, dict(values)))


def _common(found: Sequence[_Read]) -> Dims | Shape:
    """The input of the networks that bring none along.

    Raises:
        RfcalcError: those that the others bring differ, or it is not clear which symbol is the number of channels.
    """
    brought = [(f.name, f.inputs) for f in found if f.brings_input]
    shapes = {tuple(map(str, inputs.values())) for _, inputs in brought}
    if len(shapes) > 1:
        told = ", ".join(f"{name} {' '.join(map(str, inputs.values()))}" for name, inputs in brought)
        raise RfcalcError(
            "the networks have unequal inputs",
            why=f"{told}; maps, operations and memory depend on the input",
            fix="give one for all (--input 3x224x224), or compare each at its own (--own-inputs)",
        )
    if brought:
        shape = next(iter(brought[0][1].values()))
        assert shape is not None
        return shape
    channels = list(dict.fromkeys(f.channel for f in found if f.names))
    if len(channels) > 1:
        raise RfcalcError(
            f"the networks disagree on the channels of the input: {' or '.join(channels)}?",
            why="the symbol of the first layer is taken for the input too",
            fix=f"give the input: --input {channels[0]}x{'x'.join(SPATIAL)}",
        )
    if not channels:
        return Shape.parse(DEFAULT_INPUT)
    clash = [n for n in SPATIAL if any(n in f.names for f in found)]
    if clash:
        raise RfcalcError(
            f"the text uses {clash[0]} already, and {clash[0]} is also a side of the input",
            fix=f"use another letter, or give the input: --input {channels[0]}x56x56",
        )
    return tuple(Var(n) for n in (*channels, *SPATIAL))


def _analysed(found: _Read, used: Any, values: Values, assumed: tuple[str, ...], batch: Size, dtype: str) -> Report:
    """The report, or the error with the name of the network that it is about."""
    try:
        network = found.make(values)
        report = Report(network, used, batch=batch, dtype=dtype, target=found.name, assumptions=assumed)
        _ = report.fields
    except RfcalcError as error:
        error.where = found.name if error.where is None else f"{found.name}: {error.where}"
        if isinstance(error, OpenRepetition):
            error.fix = "give it a number (--set N=3), or see the closed form: rfcalc symbolic"
        raise
    return report


def at_least_two(subjects: Sequence[Any]) -> None:
    """Refuse to compare one network with nothing.

    Raises:
        NetworkError: fewer than two.
    """
    if len(subjects) < 2:
        raise NetworkError(
            f"there is nothing to compare {subjects[0]} with" if subjects else "there is nothing to compare",
            fix="name two networks or more: rfcalc compare vgg16 vgg19; or a family: --family vgg",
        )
