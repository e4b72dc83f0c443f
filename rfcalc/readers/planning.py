"""Plans for what a user may name: `rfcalc.sizes`, `rfcalc.grid`, `rfcalc.tile`, `rfcalc.memory`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from rfcalc.core.errors import RfcalcError, UnknownName, UnknownSize
from rfcalc.core.lengths import watched
from rfcalc.core.shape import Shape
from rfcalc.core.size import native
from rfcalc.graph.forward import shapes_of_inputs
from rfcalc.graph.network import Network
from rfcalc.readers.target import Named, Target, analyze, named
from rfcalc.report import Report

if TYPE_CHECKING:
    from rfcalc.plan.design import Found
    from rfcalc.plan.fitting import Fit
    from rfcalc.plan.following import Following
    from rfcalc.plan.grid import Grids
    from rfcalc.plan.lint import Lint
    from rfcalc.plan.passes import PassPlan
    from rfcalc.plan.sizes import Sizes
    from rfcalc.plan.tile import TilePlan
    from rfcalc.report.document import Document


def sizes(target: Any, input: Any = None, *, near: Any = None) -> Sizes:  # noqa: A002
    """The valid input sizes of a network on every axis, exactly: congruences, a bound, exceptions.

    Args:
        target, input: as for `analyze`; the sizes of the other axes, while one is varied, are the input's.
        near: sizes of the spatial axes (``"350x525"``, a tuple), to which the nearest valid ones are found.

    Raises:
        RfcalcError: what cannot be read; sizes that cannot be told.

    >>> import rfcalc
    >>> rfcalc.sizes("unet-padded").axes[0].valid
    Congruence(start=16, modulus=16, rests=(0,), below=())
    """
    from rfcalc.plan.sizes import Sizes
    from rfcalc.readers.undisguised import confirmed

    asked = named(target)
    near_ = lengths("near", near)
    found, input, near_, refused = _read_close(asked, input, near_)  # noqa: A001
    network = found.network
    given, assumptions = found.at(input)
    assumptions = (*refused, *assumptions)
    shapes = shapes_of_inputs(network, given)
    following = None
    if found.bound and asked.again:
        from rfcalc.readers.again import followed
        from rfcalc.readers.rereading import hangs_on_values, unknown, untold

        if (heard := getattr(network.source, "heard", None)) is not None:
            try:
                hangs_on_values(heard)
            except UnknownSize as error:
                raise unknown("code", error, shapes) from None
        if (path := getattr(network.source, "unheard", None)) is not None:
            raise untold("code", "it is scripted (TorchScript) and compares sizes, which cannot be heard", path or None)
        try:
            following, told = followed(target, found, few=True)
        except RfcalcError as unfollowed:
            from rfcalc.readers.by_ways import sizes_of_ways

            ways = sizes_of_ways(target, found, shapes, near_, assumptions, unfollowed)
            confirmed(target, network, ways)
            return ways
        assumptions = (*assumptions, *told)
    one = Sizes(network, shapes, near_, target=found.name, assumptions=assumptions, following=following)
    if following is not None:
        confirmed(target, network, one)
    return one


def _read_close(asked: Named, given: Any, near: Sequence[int] | None) -> tuple[Target, Any, Any, tuple[str, ...]]:
    """A target read with an input, or with one close by where it is refused: then its sizes are what valid ones are
    looked for near to."""
    try:
        with watched(sized=True):
            return asked.read(given), given, near, ()
    except UnknownSize:
        raise
    except RfcalcError as error:
        from rfcalc.readers.close import close_to, first_of, told
        from rfcalc.readers.undisguised import takes_no_lengths

        if (untold := takes_no_lengths(asked, given, error)) is not None:
            raise untold from None
        close = close_to(asked, given, error)
        if close is None:
            raise
        with watched(sized=True):
            found = asked.read(close)
        if given is None:
            return found, close, near, (f"no input was given, and it runs on {told(close)}",)
        note = f"the input {told(given)} does not run: it was read at {told(close)}"
        return found, close, near or Shape.of(first_of(given)).spatial, (note,)


def memory(
    target: Any,
    input: Any = None,  # noqa: A002
    *,
    batch: int = 1,
    dtype: str | None = None,
    infer: bool = False,
    optimizer: str = "adam",
    amp: str | None = None,
    freeze: Sequence[str] | str = (),
    device: str = "cpu",
    budget: Any = None,
    checkpoint: bool = False,
    arena: bool = False,
    patch: bool = False,
    fold_bn: bool = False,
    count_input: bool = True,
    most_work: float | None = None,
    largest: str = "batch",
    round_blocks: bool = False,
    rolling: bool = False,
) -> Fit:
    """The memory of a network: weights, gradients, optimizer state, what backward needs, and the worst moment.

    Args:
        target, input, batch, dtype: as for `analyze`.
        infer: only forward, without gradients.
        optimizer, amp, freeze, device: see `rfcalc.plan.memory.Memory`.
        budget: bytes that are there (a number, ``"24GB"``, ``"512KiB"``): the largest batch is told.
        checkpoint, arena, patch, fold_bn, count_input, most_work, rolling: see `rfcalc.plan.fitting.Fit`.
        largest: what is looked for within the budget: ``"batch"`` or ``"input"`` (its axes in proportion).
        round_blocks: whether every tensor counts as PyTorch's allocator rounds it on a GPU, to 512 bytes.

    Raises:
        RfcalcError: what cannot be read; an optimizer, a pattern or a budget that is none.

    >>> import rfcalc
    >>> found = rfcalc.memory("resnet18", batch=4, optimizer="sgd")
    >>> found.memory.peak.bytes, found.memory.kept
    (173552096, 88757760)
    >>> rfcalc.memory("resnet18", optimizer="sgd", budget="24GB").largest.batch
    1069
    """
    from rfcalc.plan.fitting import Fit
    from rfcalc.plan.memory import BLOCK, Memory

    if largest not in ("batch", "input"):
        raise UnknownName("largest", _word(largest), ["batch", "input"])
    report = analyze(target, input, batch=batch, dtype=dtype)
    if not infer and named(target).again:
        report = _in_training(report, batch)
    one = Memory(
        report,
        infer,
        _word(optimizer),
        None if amp is None else _word(amp),
        (freeze,) if isinstance(freeze, str) else tuple(map(str, freeze or ())),
        _word(device),
        BLOCK if round_blocks else 1,
    )
    at = _at_other_sizes(target, input, report.network) if largest == "input" else None
    return Fit(one, budget_of(budget), checkpoint, arena, patch, fold_bn, count_input, most_work, at, rolling)


def _in_training(report: Report, batch: int) -> Report:
    """The report of a module as it trains; as it is evaluated, where it does not run otherwise (it wants targets, or
    more than one item), which is noted then."""
    source = report.network.source
    if getattr(source, "training", True):
        return report
    from rfcalc.readers.torch.importer import from_torch

    assumed = list(report.assumptions)
    try:
        read = from_torch(source.module, source.call, training=True, name=report.network.name)
        network, assumed = read.network, list(read.notes)
    except RfcalcError as error:
        network = report.network
        assumed.append(f"the module is taken as it is evaluated: in training mode {error.what}")
    return Report(network, batch=batch, dtype=report.dtype, target=report.target, assumptions=assumed)


def _word(given: Any) -> str:
    """A name as it is looked up; of what is no text, what it would be as one, which is refused by its name."""
    return str(given).lower()


def _at_other_sizes(target: Any, input: Any, network: Network) -> Callable[[Sequence[Shape]], Network]:  # noqa: A002
    """The network for inputs of other shapes: code is read again, and what sizes it holds are followed."""
    asked = named(target)
    if asked.again:
        with watched():
            found = asked.read(input)
        if found.bound:
            from rfcalc.readers.again import followed

            return followed(target, found)[0].at
    return lambda shapes: network


def design(
    constraints: str,
    family: Sequence[str] | str = (),
    input: Any = None,  # noqa: A002
    *,
    minimize: Sequence[str] | None = None,
    rate: Any = None,
    values: Mapping[str, Sequence[int]] | None = None,
) -> Found:
    """Networks of declared families that hold constraints, and of which none is better in everything that is minimised.

    Args:
        constraints: in the constraint language: ``"rf >= 224, params < 1M, none(pool), dense(rf)"``.
        family: names of families (`rfcalc design --families`); all that fit the input if left out.
        input: the input; each family's own if left out.
        minimize: metrics; parameters, multiply-adds, peak memory and layers if left out, for signals look-ahead too.
        rate: positions a second (``"16kHz"``), for times in constraints: ``"lookahead <= 20ms"``.
        values: for numbers of families the values that are tried: ``{"kernel": (3, 5)}``.

    Raises:
        RfcalcError: a constraint that cannot be read or is out of reach; a family or metric that there is not.

    >>> import rfcalc
    >>> rfcalc.design("rf >= 21", "stack", "3x64x64", minimize=["params"]).designs[0].notation
    'conv3-8 relu x10'
    """
    from rfcalc.plan import design as plan

    names = (family,) if isinstance(family, str) else tuple(family)
    shape = None if input is None else Shape.of(input)
    told = with_rate(constraints, rate)
    return plan.design(told, names, shape, tuple(minimize) if minimize else (), values=values)


def with_rate(constraints: str, rate: Any = None) -> str:
    """Constraints whose times have a rate.

    >>> with_rate("lookahead <= 20ms, rf >= 1s@8kHz", "16kHz")
    'lookahead <= 20ms@16kHz, rf >= 1s@8kHz'
    """
    if rate is None:
        return constraints
    from rfcalc.report.units import rate as read

    read(rate)
    return re.sub(r"(\d(?:\.\d+)?\s*(?:us|µs|ms|s))(?=\s*(?:,|and\b|$))", rf"\1@{rate}", constraints)


def lint(target: Any, input: Any = None, *, rules: Sequence[str] | None = None) -> Lint:  # noqa: A002
    """What is odd about a network's design, with figures and a remedy.

    >>> import rfcalc
    >>> [f.rule for f in rfcalc.lint("conv3-16 > bn > conv4-16 p1", "3x32x32").findings]
    ['bias', 'reach', 'even']
    """
    from rfcalc.plan.lint import lint as read

    return read(analyze(target, input), rules)


def families_listed() -> Document:
    """The families that `design` searches, with their numbers."""
    from rfcalc.plan.families import FAMILIES
    from rfcalc.report.document import Cell, Column, Document, Table, TableLine

    lines = []
    for family in FAMILIES.values():
        lines.append(TableLine((Cell(family.name), Cell(family.told), Cell(f"{family.size:,}", family.size)), "group"))
        for p in family.parameters:
            values = ", ".join(map(str, p.values)) if len(p.values) < 9 else f"{p.values[0]} … {p.values[-1]}"
            lines.append(
                TableLine((Cell(f"  {p.name}"), Cell(f"{p.told}: {values}"), Cell(str(len(p.values)), len(p.values))))
            )
    columns = (Column("family"), Column("numbers", least=30), Column("networks", right=True))
    return Document("families of networks", (Table(columns, tuple(lines)),))


BUDGETS = 'give bytes: --{0} 24GB, 512KiB or 320000 (in Python {0}="24GB")'


def budget_of(given: Any, name: str = "budget") -> int | None:
    """Bytes from a number or a text with a unit; `name`: of the option.

    Raises:
        RfcalcError: anything else, or less than a byte.

    >>> budget_of("24GB"), budget_of("512KiB"), budget_of(1000), budget_of("320 B"), budget_of(2e9)
    (24000000000, 524288, 1000, 320, 2000000000)
    """
    if given is None:
        return None
    from rfcalc.report.units import read

    if isinstance(given, str):
        number = re.fullmatch(r"(.*\d)\s*b(ytes?)?", given.strip(), re.IGNORECASE)
        try:
            found: Any = int(read(number[1] if number else given))  # no billions, as in parameters: 7B
        except RfcalcError:
            raise RfcalcError(f"{given!r} is no {name}", fix=BUDGETS.format(name)) from None
        if given.strip().isdecimal() and 0 < found < 1024:
            raise RfcalcError(
                f"{given} bytes hold no map", why="a number without a unit is bytes", fix=f"write {given}GB"
            )
    else:
        found = int(given) if isinstance(given, float) and given.is_integer() else given
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RfcalcError(f"{given!r} is no {name}", fix=BUDGETS.format(name))
    return found


def grid(target: Any, *nodes: str, input: Any = None, source: str | None = None) -> Grids:  # noqa: A002
    """Where the units of nodes lie in the image: stride, offset in both pixel conventions, size, reach, alignment.

    Args:
        target, input: as for `analyze`.
        nodes: which nodes; the outputs if left out.
        source: in which input; if left out, in each one that a node depends on.

    Raises:
        UnknownName: there is no such node, or no such input.

    >>> import rfcalc
    >>> rfcalc.grid("vgg16", "pool5").levels[0].grids[0]
    AxisGrid(stride=Fraction(32, 1), offset=Fraction(31, 2), size=7, reach=(90, 121))
    """
    from rfcalc.plan.grid import Grids

    return Grids(analyze(target, input), nodes, source)


@overload
def tile(
    target: Any,
    input: Any = ...,
    *,
    tile: Any = ...,
    tiles: Any = ...,
    memory: Any = ...,
    at: str | None = ...,
    batch: int = ...,
    dtype: str | None = ...,
    passes: Literal[True],
) -> PassPlan: ...


@overload
def tile(
    target: Any,
    input: Any = ...,
    *,
    tile: Any = ...,
    tiles: Any = ...,
    memory: Any = ...,
    at: str | None = ...,
    batch: int = ...,
    dtype: str | None = ...,
    passes: Literal[False] = ...,
) -> TilePlan: ...


def tile(
    target: Any,
    input: Any = None,  # noqa: A002
    *,
    tile: Any = None,
    tiles: Any = None,
    memory: Any = None,
    at: str | None = None,
    batch: int = 1,
    dtype: str | None = None,
    passes: bool = False,
) -> TilePlan | PassPlan:
    """An exact plan of tiles: what each reads, writes and crops, so that together they equal the whole.

    Args:
        target, input, batch, dtype: as for `analyze`; the input is the whole image.
        tile: the most positions that a tile reads (what the network is fed), for all axes or for each ("512x256").
        tiles: how many tiles each axis is cut into ("4x4").
        memory: what the maps of a tile may take, in bytes or as text ("2GB"); the cheapest plan within it is chosen.
        at: the node whose map is wanted; the outputs if left out.
        passes: gather the statistics of normalisations and global pools in passes over the tiles, and use them in the
            last one: a `PassPlan` (`rfcalc.in_passes` runs it) instead of a `TilePlan`.

    Raises:
        RfcalcError: a tile larger than the image or too small, a memory that no tile fits into.

    >>> import rfcalc
    >>> rfcalc.tile("conv3-4 > conv3-4", "1x64x64", tiles="2x2").axes[0].halo
    (2, 2)
    """
    from rfcalc.plan.lines import Barrier
    from rfcalc.plan.tile import TilePlan

    given, asked = target, named(target)
    following, multiple, unfollowed, known = None, 1, None, None
    told: tuple[str, ...] = ()
    if asked.again:
        with watched():
            found = target = asked.read(input)
        if found.bound:
            from rfcalc.readers.again import followed_in_steps
            from rfcalc.readers.alike import MOST_PLANS, in_one_way, sized_number, unlike_at_tiles
            from rfcalc.readers.rereading import Known

            known = Known(given)
            try:
                following, told, multiple = followed_in_steps(known, found)
                following = in_one_way(known, found, following, multiple)
                unfollowed = sized_number(known, found, following)
            except RfcalcError as error:
                unfollowed = Barrier(error.where or "", "size", f"its sizes cannot be followed: {error.why}")
            target = found._replace(assumptions=(*found.assumptions, *told))
    report = analyze(target, input, batch=batch, dtype=dtype)
    rank = max(x.rank for x in report.inputs.values())

    def each(name: str, given: Any) -> tuple[int, ...] | None:
        found = lengths(name, given)
        return found * rank if found is not None and len(found) == 1 else found

    cut = each("tile", tile), each("tiles", tiles)
    about: dict[str, Any] = {
        "tile": cut[0],
        "tiles": cut[1],
        "memory": budget_of(memory, "memory"),
        "multiple": multiple,
    }
    if passes:
        from rfcalc.plan.passes import PassPlan

    def planned(following: Following | None, unfollowed: Barrier | None) -> TilePlan | PassPlan:
        kind = PassPlan if passes else TilePlan
        return kind(report, at=at, following=following, unfollowed=unfollowed, **about)

    plan = planned(following, unfollowed)
    if known is None or following is None:
        return plan
    for _ in range(MOST_PLANS):
        if plan.barriers or (unlike := unlike_at_tiles(known, found, following, plan)) is None:
            return plan
        unfollowed = unlike.barrier
        if not unlike.avoided:
            break
        for avoided in unlike.avoided:
            following = following.guarded(avoided)
        plan = planned(following, None)
    return planned(following, unfollowed)


def lengths(name: str, given: Any) -> tuple[int, ...] | None:
    """Sizes of the spatial axes, as text (``"350x525"``), a number or a sequence.

    Raises:
        RfcalcError: anything else.

    >>> lengths("near", "350x525")
    (350, 525)
    """
    given = native(given)
    if given is None:
        return None
    parts: Sequence[Any] = (
        re.split(r"\s*[x×,*]\s*", given.strip().strip("()[]").lower()) if isinstance(given, str) else ()
    )
    if not isinstance(given, str):
        parts = given if isinstance(given, (tuple, list)) else (given,)
    try:
        found = tuple(int(p) if isinstance(p, str) else p.__index__() for p in parts)
    except (ValueError, AttributeError):
        found = ()
    if not found or min(found) < 1:
        example = "4x4" if name == "tiles" else "350x525"
        what = "counts of tiles" if name == "tiles" else "sizes"
        raise RfcalcError(
            f"{name} {given!r} are no {what}",
            fix=f'write whole numbers from 1 on, one for each spatial axis: {name}="{example}"',
        )
    return found
