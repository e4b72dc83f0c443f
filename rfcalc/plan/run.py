"""Carry out a plan of tiles on arrays: NumPy, memory maps, zarr, tensors; nothing is imported for it.

1. `source` and `out` are anything with `shape` and slices; what is read of `source` goes to the function as it is.
2. The function takes one tile (a dict of tiles by input name, where there are several) and gives its output (a dict by
   output name, or a sequence, where there are several). An input without spatial axes is given as it is.
3. Tiles are independent: any `map` will do (a pool of processes, Dask, Ray), in any order. Results are written here, as
   they arrive, so that one process alone writes.
4. Everything is checked before the first value is written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.progress import at

if TYPE_CHECKING:
    from rfcalc.core.shape import Shape
    from rfcalc.plan.axis_tiles import Range
    from rfcalc.plan.tile import Tile, TilePlan

Places = tuple[int, ...]  # for each axis of the image its axis in an array, counted from the end (negative)


class OneTile:
    """Reads one tile, computes it, and cuts out what it is to write; can be sent to another process."""

    def __init__(self, plan: TilePlan, function: Callable[[Any], Any], source: Mapping[str, Any]) -> None:
        self.function = function
        self.source = dict(source)
        self.sizes = {name: _sizes(plan, i) for i, name in enumerate(plan.network.inputs)}
        self.related = {name: plan.related(i) for i, name in enumerate(plan.network.inputs)}
        self.inputs = {name: _places(x, plan.rank) for name, x in zip(plan.network.inputs, plan.inputs, strict=True)}
        self.outputs = {name: _carriers(plan, i) for i, name in enumerate(plan.network.outputs)}

    def __call__(self, job: tuple[Tile, dict[str, tuple[int, ...]]]) -> tuple[Tile, dict[str, Any]]:
        tile, lengths = job
        found = named(self.function(self.taken(tile)), list(self.outputs))
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
            results[name] = array[_slices(tile.crop[name], places)]
        return tile, results

    def taken(self, tile: Tile) -> Any:
        """What the function is given for a tile: its part of the source, by input name where there are several."""
        found = {}
        for name, places in self.inputs.items():
            part = [size.part(read) for size, read in zip(self.related[name], tile.read, strict=False)]
            found[name] = _read(self.source[name], part, places, self.sizes[name])
        return found if len(found) > 1 else next(iter(found.values()))

    def cut(self, tile: Tile, output: str) -> tuple[Any, ...]:
        """The index that cuts out of an output's map what the tile writes."""
        return _slices(tile.crop[output], self.outputs[output])


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
        progress: called with the number of tiles that are written, and of all.

    Returns:
        `out`, or what was made in its place.

    Raises:
        RfcalcError: there is no plan; an array or a result of the wrong shape, before anything of it is written.
    """
    if plan.barriers:
        barrier = plan.barriers[0]
        raise RfcalcError("there are no tiles", where=barrier.node, why=barrier.why)
    outs = check_arrays(plan, source, out)
    names = plan.network.outputs
    work = OneTile(plan, function, sources_of(plan, source))
    total = plan.count
    jobs = jobs_of(plan)
    for done, (tile, results) in enumerate(map(work, jobs if map is _SERIAL else list(jobs)), 1):
        for i, name in enumerate(names):
            places, result = _carriers(plan, i), results[name]
            if name not in outs:
                outs[name] = _like(result, places, _whole(plan, i))
            elif done == 1 and tuple(outs[name].shape[: min(places)]) != tuple(result.shape[: min(places)]):
                told = f"out of {name} has {tuple(outs[name].shape)}, the function gives {tuple(result.shape)}"
                raise RfcalcError("out has other channels than the function's results", why=told)
            elif done == 1 and _fractions(result) and not _fractions(outs[name]):
                raise RfcalcError(
                    f"out of {name} holds whole numbers, and the function gives fractions",
                    why=f"out has {outs[name].dtype}, the result {result.dtype}",
                    fix="make out of the function's type, or round in the function",
                )
        for i, name in enumerate(names):
            if all(a < b for a, b in tile.write[name]):
                outs[name][_slices(tile.write[name], _carriers(plan, i))] = results[name]
        at("tiles", done, total)
        if progress is not None:
            progress(done, total)
    return outs if len(names) > 1 else outs[names[0]]


_SERIAL = map


def sources_of(plan: TilePlan, source: Any) -> dict[str, Any]:
    """The arrays that are read, by input name."""
    return dict(source) if isinstance(source, Mapping) else {next(iter(plan.network.inputs)): source}


def jobs_of(plan: TilePlan) -> Iterable[tuple[Tile, dict[str, tuple[int, ...]]]]:
    """Every tile, and the sizes that each output of it has."""
    return ((tile, _lengths(plan, tile)) for tile in plan.tiles)


def check_arrays(plan: TilePlan, source: Any, out: Any) -> dict[str, Any]:
    """Refuse arrays that do not have the plan's sizes; `out` by output name.

    Raises:
        RfcalcError: a source that is missing, or an array of another shape.
    """
    sources = sources_of(plan, source)
    for i, (name, x) in enumerate(zip(plan.network.inputs, plan.inputs, strict=True)):
        if name not in sources:
            raise RfcalcError(f"there is no source for the input {name}", fix="give a dict of arrays by input name")
        _fits("source", name, sources[name], _places(x, plan.rank), _sizes(plan, i))
    if out is None:
        return {}
    outs = named(out, list(plan.network.outputs), "out")
    for i, name in enumerate(plan.network.outputs):
        _fits("out", name, outs[name], _carriers(plan, i), _whole(plan, i))
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
    if len(parts) != len(names):
        raise RfcalcError(f"{what} gives {len(parts)} arrays, the plan has the outputs {', '.join(names)}")
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


def _lengths(plan: TilePlan, tile: Tile) -> dict[str, tuple[int, ...]]:
    """What the network makes of a tile: the sizes of each output."""
    found: dict[str, list[int]] = {name: [] for name in plan.network.outputs}
    for line, (a, b) in zip(plan.lines, tile.read, strict=True):
        lengths = line.lengths(b - a)
        assert lengths is not None
        for name, p in zip(plan.network.outputs, line.outputs, strict=True):
            found[name].append(int(lengths[p] or 0))
    return {name: tuple(sizes) for name, sizes in found.items()}


def _fits(what: str, name: str, array: Any, places: Places, sizes: Sequence[int]) -> None:
    """Refuse an array whose axes do not have these sizes."""
    shape = getattr(array, "shape", None)
    if shape is None:
        raise RfcalcError(f"{what} of {name} is no array", why=f"{type(array).__name__} has no shape")
    if not places:
        return
    got = [shape[i] if -len(shape) <= i else None for i in places]
    if got != list(sizes):
        raise RfcalcError(
            f"{what} of {name} has the shape {tuple(shape)}",
            why=f"its spatial axes must be {'x'.join(map(str, sizes))}, as in the plan",
            fix="plan for this size, or give another array",
        )


def _slices(ranges: Sequence[Range], places: Places) -> tuple[Any, ...]:
    """An index that cuts these ranges out of the axes (counted from the end)."""
    index: list[Any] = [slice(None)] * -min(places)
    for (a, b), place in zip(ranges, places, strict=True):
        index[place] = slice(a, b)
    return (..., *index)


def _read(array: Any, ranges: Sequence[Range], places: Places, sizes: Sequence[int]) -> Any:
    """A tile of an array; ranges outside of it wrap around."""
    if not places:
        return array
    if all(a >= 0 and b <= n for (a, b), n in zip(ranges, sizes, strict=True)):
        return array[_slices(ranges, places)]
    pieces: list[list[Range]] = []
    for (a, b), n in zip(ranges, sizes, strict=True):
        cut = [(max(a, k * n) - k * n, min(b, (k + 1) * n) - k * n) for k in range(a // n, -(-b // n))]
        pieces.append([(x, y) for x, y in cut if x < y])

    def joined(axis: int, chosen: list[Range]) -> Any:
        if axis == len(pieces):
            return array[_slices(chosen, places)]
        parts = [joined(axis + 1, [*chosen, piece]) for piece in pieces[axis]]
        return parts[0] if len(parts) == 1 else _package(parts[0]).concatenate(parts, axis=places[axis])

    return joined(0, [])


def _like(result: Any, places: Places, sizes: Sequence[int]) -> Any:
    """An empty array for the whole output, of the kind that the function gives."""
    shape = list(result.shape)
    for place, size in zip(places, sizes, strict=True):
        shape[place] = size
    if hasattr(result, "new_empty"):
        return result.new_empty(shape)
    return _package(result).empty(tuple(shape), dtype=result.dtype)


def _fractions(array: Any) -> bool:
    """Whether an array may hold fractions, as far as its type says it."""
    kind = getattr(array, "dtype", None)
    floating = getattr(kind, "is_floating_point", None)  # PyTorch's
    return bool(floating) if floating is not None else getattr(kind, "kind", "f") not in "iub"


def _package(array: Any) -> Any:
    """The package that an array comes from, which is loaded already."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def _sides(ranges: Sequence[Range]) -> str:
    return "x".join(str(b - a) for a, b in ranges)
