"""What is compared: several targets read for one common input, so that their figures can stand side by side.

Targets are those of `rfcalc.target`; notation may also have names for sizes (``conv3-C``). The input is the one that is
given; else the one that the networks bring along, which must be equal; else, with symbols, the first symbol that stands
for channels with H×W; else 3x224x224.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rfcalc.errors import NetworkError, NotationError, RfcalcError, UnknownName
from rfcalc.index import Expression
from rfcalc.network import Network
from rfcalc.report import Report
from rfcalc.shape import Shape
from rfcalc.size import Size, assumptions, is_number
from rfcalc.target import DEFAULT_INPUT, Target, resolve

LONGEST = 26  # characters of a name that heads a column
SPATIAL = ("H", "W")


class Subject(NamedTuple):
    """One network of a comparison: a short label, what the user called it, its report.

    `written`: it is notation, not a network with a name of its own; `assumed`: what its rules took for granted.
    """

    label: str
    name: str
    report: Report
    written: bool
    assumed: tuple[str, ...]

    @property
    def input(self) -> str:
        """Its inputs, as text."""
        shapes = self.report.inputs
        if len(shapes) == 1:
            return str(next(iter(shapes.values())))
        return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


class _Read(NamedTuple):
    target: Target
    written: bool
    names: tuple[str, ...]  # its symbols, in the order in which they stand


def read(
    targets: Sequence[Any],
    given: Any = None,
    *,
    numbers: Mapping[str, int] | None = None,
    own_inputs: bool = False,
    batch: Size = 1,
    dtype: str = "float32",
) -> tuple[Subject, ...]:
    """The networks, analysed for one input.

    Args:
        targets: names of networks, notation, `Network` values, …
        given: the input of all: ``"3x224x224"``, ``"CxHxW"``, a shape, or shapes by name.
        numbers: numbers for symbols by name.
        own_inputs: each at its own default input, even where these differ.
        batch, dtype: as for `rfcalc.analyze`.

    Raises:
        RfcalcError: inputs that clash or do not fit, a symbol that stands nowhere.
    """
    numbers = dict(numbers or {})
    found = [_resolve(target, numbers) for target in targets]
    labels = _labels([f.target.name for f in found])
    known = [n for f in found for n in f.names]
    shape = _inputs(given, numbers, known) if given is not None else None
    common = None if own_inputs and given is None else _common(found, numbers, known)
    stray = [n for n in numbers if n not in known]
    if stray:
        raise UnknownName("symbol", stray[0], list(dict.fromkeys(known)))
    subjects = []
    for label, f in zip(labels, found, strict=True):
        used = shape if given is not None else None if _has_input(f.target.network) else common
        subjects.append(_analysed(label, f, used, batch, dtype))
    return tuple(subjects)


def _resolve(target: Any, numbers: Mapping[str, int]) -> _Read:
    """A target, with symbols where notation has names in it."""
    try:
        found = resolve(target)
    except NotationError as error:
        symbolic = _symbolic(target, numbers) if isinstance(target, str) else None
        if symbolic is None:
            raise error from None
        return symbolic
    return _Read(found, not _has_input(found.network), ())


def _symbolic(text: str, numbers: Mapping[str, int]) -> _Read | None:
    """Notation with names for sizes; None if it cannot be read either."""
    from rfcalc.notation import parse

    try:
        reading = parse(text.strip(), symbols=True)
    except RfcalcError:
        return None
    order: dict[str, None] = {}
    for value in reading.symbolic:
        order.update(dict.fromkeys(_names(value)))
    if not order:
        return None
    from rfcalc.compare.formulas import symbol

    values = {name: numbers[name] if name in numbers else symbol(name) for name in order}
    network = reading.network()
    bound = Network(
        network.expr.bind(values),
        dict(network.inputs),
        outputs=reading.header.outputs,
        name=network.name,
        title=network.title,
        citation=network.citation,
    )
    target = Target(bound, reading.header.name or text.strip(), reading.assumptions)
    return _Read(target, not _has_input(bound), tuple(order))


def _names(value: Any) -> list[str]:
    """The names in an expression, from left to right."""
    if not isinstance(value, Expression):
        return []
    if value.sign:
        return [*_names(value.left), *_names(value.right)]
    return [str(value)]


def _has_input(network: Network) -> bool:
    return None not in network.inputs.values()


def _labels(names: Sequence[str]) -> list[str]:
    """What heads the columns: the names where they are short and all different, else letters."""
    short = all(len(n) <= LONGEST and "\n" not in n for n in names)
    if short and len(set(names)) == len(names):
        return list(names)
    return [chr(ord("A") + i) if i < 26 else f"N{i + 1}" for i in range(len(names))]


def _inputs(given: Any, numbers: Mapping[str, int], known: list[str]) -> Any:
    """The input that was given, with symbols where names stand in it."""
    if isinstance(given, Mapping):
        return {name: _inputs(shape, numbers, known) for name, shape in given.items()}
    if not isinstance(given, str):
        return Shape.of(given)
    parts = given.strip().replace("×", "x").split("x")
    if not any(p.isidentifier() for p in parts) or not all(p.isidentifier() or p.isdigit() for p in parts):
        return Shape.parse(given)
    known += [p for p in parts if p.isidentifier()]
    return Shape.of(tuple(_value(p, numbers) for p in parts))


def _value(text: str, numbers: Mapping[str, int]) -> Size:
    if text.isdigit():
        return int(text)
    if text in numbers:
        return numbers[text]
    from rfcalc.compare.formulas import symbol

    return symbol(text)


def _common(found: Sequence[_Read], numbers: Mapping[str, int], known: list[str]) -> Any:
    """The input of the networks that bring none along.

    Raises:
        RfcalcError: those that the others bring differ.
    """
    brought = {f.target.name: dict(f.target.network.inputs) for f in found if _has_input(f.target.network)}
    shapes = [tuple(map(str, shapes.values())) for shapes in brought.values()]
    if len(set(shapes)) > 1:
        told = ", ".join(f"{name} {' '.join(map(str, s.values()))}" for name, s in brought.items())
        raise RfcalcError(
            "the networks have unequal inputs",
            why=f"{told}; maps, operations and memory depend on the input",
            fix="give one for all (--input 3x224x224), or compare each at its own (--own-inputs)",
        )
    if brought:
        return next(iter(next(iter(brought.values())).values()))
    channels = dict.fromkeys(f.names[0] for f in found if f.names)
    if len(channels) > 1:
        raise RfcalcError(
            f"which of {' and '.join(channels)} is the number of input channels?",
            why="each network begins with another symbol",
            fix=f"give the input: --input {next(iter(channels))}x{'x'.join(SPATIAL)}",
        )
    if channels:
        known += SPATIAL
        return Shape.of(tuple(_value(name, numbers) for name in (*channels, *SPATIAL)))
    return Shape.parse(DEFAULT_INPUT)


def _analysed(label: str, found: _Read, used: Any, batch: Size, dtype: str) -> Subject:
    """The report, or the error with the name of the network that it is about."""
    target = found.target
    said = target.assumptions
    if used is not None and _has_input(target.network) is False and not isinstance(used, dict):
        said = (f"the input is {used}", *said) if all(is_number(n) for n in used.dims) else said
    with assumptions() as heard:
        try:
            report = Report(target.network, used, batch=batch, dtype=dtype, target=target.name, assumptions=said)
            if report.rows:
                _ = report.rows[-1].receptive_field
        except RfcalcError as error:
            place = target.name if error.where is None else f"{target.name}: {error.where}"
            error.where = place
            raise
    return Subject(label, target.name, report, found.written, tuple(dict.fromkeys(heard)))


def analysed_like(subject: Subject, network: Network) -> Report:
    """Another network, walked with the same input, batch and dtype."""
    report = subject.report
    shapes = list(report.inputs.values())
    return Report(network, shapes[0], batch=report.batch, dtype=report.dtype)


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
