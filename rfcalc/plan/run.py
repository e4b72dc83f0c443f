"""Carry out a plan of tiles on arrays: NumPy, memory maps, zarr, tensors; nothing is imported for it.

1. `source` and `out` are anything with `shape` and slices; what is read of `source` goes to the function as it is.
2. The function takes one tile (a dict of tiles by input name, where there are several) and gives its output (a dict by
   output name, or a sequence, where there are several). An input without spatial axes is given as it is.
3. Tiles are independent: any `map` will do (a pool of processes, Dask, Ray), in any order. Results are written here, as
   they arrive, so that one process alone writes.
4. Arrays are checked before the first value is written, and results of tiles of every size are: of the function's
   first tiles there is one of each size. A later result that is unlike the others is refused, with what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.progress import at
from rfcalc.plan.arrays import Places, detached, fits, holds, like, read, same_memory, slices, type_of, whole_numbers

if TYPE_CHECKING:
    from rfcalc.core.shape import Shape
    from rfcalc.plan.axis_tiles import Range
    from rfcalc.plan.tile import Tile, TilePlan


class Job(NamedTuple):
    """A tile to compute: its number, what it reads and writes, and the sizes that each output of it must have."""

    number: int
    tile: Tile
    lengths: dict[str, tuple[int, ...]]


class Done(NamedTuple):
    """A tile that is computed: what was found, by name."""

    number: int
    tile: Tile
    found: dict[str, Any]


class OneTile:
    """Reads one tile, computes it, and cuts out what it is to write; can be sent to another process."""

    def __init__(self, plan: TilePlan, function: Callable[[Any], Any], source: Mapping[str, Any]) -> None:
        self.function = function
        self.source = dict(source)
        self.sizes = {name: _sizes(plan, i) for i, name in enumerate(plan.network.inputs)}
        self.related = {name: plan.related(i) for i, name in enumerate(plan.network.inputs)}
        self.inputs = {name: _places(x, plan.rank) for name, x in zip(plan.network.inputs, plan.inputs, strict=True)}
        self.outputs = {name: _carriers(plan, i) for i, name in enumerate(plan.network.outputs)}

    def __call__(self, job: Job) -> Done:
        number, tile, lengths = job
        try:
            made = self.function(self.taken(tile))
        except Exception as error:
            error.add_note(f"The function was given the tile that reads {_ranges(tile)}.")
            raise
        found = named(made, list(self.outputs))
        results = {}
        for name, places in self.outputs.items():
            array = found[name]
            if not hasattr(array, "shape"):
                raise RfcalcError(
                    f"the function gives no array for {name}",
                    why=f"it gives {type(array).__name__} for a tile of {_sides(tile.read)}",
                    fix="return the network's output",
                )
            shape = tuple(array.shape)
            got = tuple(shape[i] if -len(shape) <= i else None for i in places)
            if got != lengths[name]:
                raise RfcalcError(
                    f"the function gives {name} of {'x'.join(map(str, got))} for a tile of {_sides(tile.read)}",
                    why=f"the plan's network gives {'x'.join(map(str, lengths[name]))}; the array is {shape}",
                    fix="run the network that was planned, without padding or cropping of its own",
                )
            results[name] = detached(array[slices(tile.crop[name], places)])
        return Done(number, tile, results)

    def taken(self, tile: Tile) -> Any:
        """What the function is given for a tile: its part of the source, by input name where there are several."""
        found = {}
        for name, places in self.inputs.items():
            part = [size.part(read) for size, read in zip(self.related[name], tile.read, strict=False)]
            found[name] = read(self.source[name], part, places, self.sizes[name])
        return found if len(found) > 1 else next(iter(found.values()))

    def cut(self, tile: Tile, output: str) -> tuple[Any, ...]:
        """The index that cuts out of an output's map what the tile writes."""
        return slices(tile.crop[output], self.outputs[output])


def run(
    plan: TilePlan,
    function: Callable[[Any], Any],
    source: Any,
    out: Any = None,
    map: Callable[..., Iterable[Any]] = map,  # noqa: A002
    progress: Callable[[int, int], Any] | None = None,
) -> Any:
    """The whole output, computed tile by tile.

    Args:
        plan: the tiles.
        function: computes a tile; for `map`s that use other processes it must be one that can be sent there.
        source: the image, its spatial axes as in the network's input (the last ones); by name for several inputs.
        out: where the output goes, by name for several; made like the function's first result if left out.
        map: applies a function to every item of a list, in any order of results.
        progress: called with the number of tiles that are computed, and of all.

    Returns:
        `out`, or what was made in its place.

    Raises:
        RfcalcError: there is no plan; an array or a result of the wrong shape, before anything of it is written.
    """
    if plan.barriers:
        barrier = plan.barriers[0]
        raise RfcalcError("there are no tiles", where=barrier.node, why=barrier.why)
    writing = Writing(plan, check_arrays(plan, source, out))
    check_calls(function, map)
    work = OneTile(plan, function, sources_of(plan, source))
    try:
        for count, done in enumerate(each(plan, work, map), 1):
            writing.take(done)
            at("tiles", count, plan.count)
            if progress is not None:
                progress(count, plan.count)
    except BaseException as error:
        writing.note(error)
        raise
    return writing.outs if len(writing.outs) > 1 else next(iter(writing.outs.values()))


_SERIAL = map


def each(plan: TilePlan, work: Callable[[Job], Done], map: Callable[..., Any]) -> Iterator[Done]:  # noqa: A002
    """Every tile of a plan once, computed by any `map`.

    Raises:
        RfcalcError: `map` gives something else, a tile twice, or not all.
    """
    jobs, count = jobs_of(plan), plan.count
    made = map(work, jobs if map is _SERIAL else list(jobs))
    told = f"map gives {plural(len(made), 'result') if isinstance(made, Sized) else type(made).__name__}"
    why = f"it must call what it is given for each of the {plural(count, 'tile')} and give the results, in any order"
    if not isinstance(made, Iterable) or (isinstance(made, Sized) and len(made) != count):
        raise RfcalcError(told, why=why)
    seen = bytearray(count)
    for one in made:
        if not isinstance(one, Done):
            raise RfcalcError(
                f"map gives {type(one).__name__} in place of a result",
                why=why,
                fix="wait for futures, as with Dask: map=lambda work, tiles: client.gather(client.map(work, tiles))",
            )
        if seen[one.number]:
            raise RfcalcError(f"map gives tile {one.number} twice", why=why)
        seen[one.number] = 1
        yield one
    if not all(seen):
        raise RfcalcError(f"map gives {plural(sum(seen), 'result')}", why=why)


class Writing:
    """Where results go. Every result is checked, against `out` and against the first one, before it is written.

    The first tiles are one of each size (`leading`); their results are held until all of them are there, so that a
    function that goes wrong at some size is found before anything is written.
    """

    def __init__(self, plan: TilePlan, outs: dict[str, Any]) -> None:
        self.plan, self.outs, self.given = plan, outs, bool(outs)
        self.places = {name: _carriers(plan, i) for i, name in enumerate(plan.network.outputs)}
        self.held: list[Done] = []
        self.ahead, self.written = len(leading(plan)), 0
        self.kinds: dict[str, tuple[Any, str]] = {}  # of the first results: the sizes beside the spatial ones, the type

    def take(self, done: Done) -> None:
        """Check the results of a tile; write them, and those that were held, if it is time.

        Raises:
            RfcalcError: they are not like those of the other tiles, or `out` cannot take them.
        """
        for name, result in done.found.items():
            self._check(name, result, done.tile)
        self.held.append(done)
        self.ahead -= 1
        if self.ahead > 0:
            return
        for i, name in enumerate(self.plan.network.outputs):
            if name not in self.outs:
                self.outs[name] = like(done.found[name], self.places[name], _whole(self.plan, i))
        while self.held:
            self._write(self.held.pop(0))

    def _write(self, done: Done) -> None:
        for name, ranges in done.tile.write.items():
            if not all(a < b for a, b in ranges):
                continue
            try:
                self.outs[name][slices(ranges, self.places[name])] = done.found[name]
            except (TypeError, ValueError, RuntimeError) as error:
                raise RfcalcError(
                    f"out of {name} does not take what the function gives",
                    why=f"{type(error).__name__}: {error}",
                    fix=f"give an out that can be written, of the function's kind ({type(done.found[name]).__name__})",
                ) from error
        self.written += 1

    def _check(self, name: str, result: Any, tile: Tile) -> None:
        kind = self._kind(name, result)
        if kind == self.kinds.setdefault(name, kind):
            if name in self.outs and not self.written and not self.held:
                self._check_out(name, result)
            return
        first = self.kinds[name]
        raise RfcalcError(
            f"the function gives {name} of {_told(kind)} for the tile that reads {_ranges(tile)}",
            why=f"for another tile it gave {_told(first)}",
            fix="give results with the same axes, channels and type for every tile",
        )

    def _check_out(self, name: str, result: Any) -> None:
        out, kind = self.outs[name], self._kind(name, result)
        here, there = type_of(out), type_of(result)
        if self._kind(name, out)[0] != kind[0]:
            told = f"out of {name} has {tuple(out.shape)}, the function gives {tuple(result.shape)}"
            raise RfcalcError("out has other channels than the function's results", why=told)
        if not holds(here, there):
            whole = whole_numbers(out) and not whole_numbers(result)
            raise RfcalcError(
                f"out of {name} holds whole numbers, and the function gives fractions"
                if whole
                else f"out of {name} cannot hold every value that the function gives",
                why=f"out has {here}, the result {there}; values would be changed without a word",
                fix="make out of the function's type, or change the type in the function",
            )

    def _kind(self, name: str, array: Any) -> tuple[Any, str]:
        shape: list[Any] = list(array.shape)
        for place in self.places[name]:
            if -len(shape) <= place:
                shape[place] = None
        return tuple(shape), type_of(array)

    def note(self, error: BaseException) -> None:
        """Say with an error how much of `out` is written; what was made in its place is dropped."""
        if not self.given:
            return
        told = "nothing is written in out"
        if self.written:
            verb = "is" if self.written == 1 else "are"
            told = f"{self.written:,} of {plural(self.plan.count, 'tile')} {verb} written in out"
        if isinstance(error, RfcalcError):
            error.why = told if error.why is None else f"{error.why}\n{told}"
        else:
            error.add_note(f"{told[0].upper()}{told[1:]}.")


def _told(kind: tuple[Any, str]) -> str:
    return f"({', '.join('…' if n is None else str(n) for n in kind[0])}) {kind[1]}".rstrip()


def leading(plan: TilePlan) -> tuple[int, ...]:
    """The numbers of a few tiles, among which every size of a tile occurs on every axis."""
    sizes = []
    for parts in plan.parts:
        first: dict[int, int] = {}
        for i, part in enumerate(parts):
            first.setdefault(part.read[1] - part.read[0], i)
        sizes.append(list(first.values()))
    found: dict[int, None] = {}
    for k in range(max(map(len, sizes), default=0)):
        number = 0
        for parts, chosen in zip(plan.parts, sizes, strict=True):
            number = number * len(parts) + chosen[min(k, len(chosen) - 1)]
        found[number] = None
    return tuple(found)


def check_calls(function: Any, map: Any) -> None:  # noqa: A002
    """Refuse what cannot be called.

    Raises:
        RfcalcError: the function or `map` is something else.
    """
    for name, given, fix in (
        ("function", function, "give a function that takes a tile and gives its output"),
        ("map", map, "give a function like Python's map: map(work, tiles)"),
    ):
        if not callable(given):
            raise RfcalcError(f"{name} is no function", why=f"it is {type(given).__name__}", fix=fix)


def sources_of(plan: TilePlan, source: Any) -> dict[str, Any]:
    """The arrays that are read, by input name."""
    return dict(source) if isinstance(source, Mapping) else {next(iter(plan.network.inputs)): source}


def jobs_of(plan: TilePlan) -> Iterator[Job]:
    """Every tile, those that show all sizes first."""
    first = leading(plan)
    for number in chain(first, (n for n in range(plan.count) if n not in first)):
        tile = plan.tile(number)
        yield Job(number, tile, lengths_of(plan, tile))


def check_arrays(plan: TilePlan, source: Any, out: Any) -> dict[str, Any]:
    """Refuse arrays that do not have the plan's sizes; `out` by output name.

    Raises:
        RfcalcError: a source that is missing, or an array of another shape.
    """
    sources = sources_of(plan, source)
    for i, (name, x) in enumerate(zip(plan.network.inputs, plan.inputs, strict=True)):
        if name not in sources:
            raise RfcalcError(f"there is no source for the input {name}", fix="give a dict of arrays by input name")
        fits("source", name, sources[name], _places(x, plan.rank), _sizes(plan, i))
    if out is None:
        return {}
    outs = named(out, list(plan.network.outputs), "out")
    for i, name in enumerate(plan.network.outputs):
        fits("out", name, outs[name], _carriers(plan, i), _whole(plan, i))
        for other, array in sources.items():
            if same_memory(outs[name], array):
                raise RfcalcError(
                    f"out of {name} and the source of {other} share memory",
                    why="a tile reads beyond what it writes: later tiles would read results of earlier ones",
                    fix="give another out",
                )
    return outs


def named(made: Any, names: Sequence[str], what: str = "the function") -> dict[str, Any]:
    """Outputs by name; a dict that has names of its own for all of them counts in its order.

    Raises:
        RfcalcError: they are not as many as the network's.
    """
    if isinstance(made, Mapping) and len(made) == len(names) and not set(made) & set(names):
        made = list(made.values())
    if isinstance(made, Mapping):
        missing = [n for n in names if n not in made]
        if missing:
            raise RfcalcError(f"{what} gives no {', '.join(missing)}", why=f"the outputs are {', '.join(names)}")
        return {n: made[n] for n in names}
    parts = list(made) if isinstance(made, (tuple, list)) else [made]
    if len(parts) != len(names) or (isinstance(made, list) and not all(hasattr(p, "shape") for p in parts)):
        told = f"{len(parts)} arrays" if all(hasattr(p, "shape") for p in parts) else f"a {type(made).__name__}"
        several = f"the outputs {', '.join(names)}" if len(names) > 1 else f"one output, {names[0]}"
        fix = "give an array for each output" if len(names) > 1 else "give one array"
        raise RfcalcError(f"{what} gives {told}, the plan has {several}", fix=fix)
    return dict(zip(names, parts, strict=True))


def _places(x: Shape, rank: int) -> Places:
    """None for an input without these axes (a vector), which every tile is given as it is."""
    if x.rank != rank:
        return ()
    return tuple(i - len(x.dims) for i in x.axes[:rank])


def _sizes(plan: TilePlan, i: int) -> list[int]:
    """The sizes of an input on the image's axes; none, where it has other axes."""
    return list(map(int, plan.inputs[i].spatial)) if plan.inputs[i].rank == plan.rank else []


def _carriers(plan: TilePlan, output: int) -> Places:
    """Where each axis of the image lies in an output."""
    position = plan.lines[0].outputs[output]
    count = len(plan.walked.shapes[position].dims)
    return tuple(c - count for line in plan.lines if (c := line.view.carriers[position]) is not None)


def _whole(plan: TilePlan, output: int) -> list[int]:
    return [int(line.view.lengths[line.outputs[output]] or 0) for line in plan.lines]


def lengths_of(plan: TilePlan, tile: Tile) -> dict[str, tuple[int, ...]]:
    """What the network makes of a tile: the sizes of each output."""
    found: dict[str, list[int]] = {name: [] for name in plan.network.outputs}
    for line, (a, b) in zip(plan.lines, tile.read, strict=True):
        lengths = line.lengths(b - a)
        assert lengths is not None
        for name, p in zip(plan.network.outputs, line.outputs, strict=True):
            found[name].append(int(lengths[p] or 0))
    return {name: tuple(sizes) for name, sizes in found.items()}


def _ranges(tile: Tile) -> str:
    return " × ".join(f"[{a}, {b})" for a, b in tile.read)


def _sides(ranges: Sequence[Range]) -> str:
    return "x".join(str(b - a) for a, b in ranges)
