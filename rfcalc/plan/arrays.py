"""Arrays of any package (NumPy, memory maps, zarr, PyTorch): axes, slices, types, memory. No package is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.plan.axis_tiles import Range

Places = tuple[int, ...]  # for each axis of the image its axis in an array, counted from the end (negative)


def fits(what: str, name: str, array: Any, places: Places, sizes: Sequence[int]) -> None:
    """Refuse what is no array, and an array whose axes do not have these sizes.

    Raises:
        RfcalcError: it is none, or has other sizes.
    """
    shape = getattr(array, "shape", None)
    if shape is None:
        raise RfcalcError(
            f"{what} of {name} is no array",
            why=f"{type(array).__name__} has no shape",
            fix="give an array: NumPy (numpy.asarray), a memory map, zarr, a tensor",
        )
    if not places:
        return
    got = [shape[i] if -len(shape) <= i else None for i in places]
    if got == list(sizes):
        return
    fix = "plan for this size, or give another array"
    if len(shape) > len(sizes) and list(shape[-len(sizes) - 1 : -1]) == list(sizes):
        fix = "the channels come before the spatial axes: move the last axis to the front"
    raise RfcalcError(
        f"{what} of {name} has the shape {tuple(shape)}",
        why=f"its spatial axes must be {'x'.join(map(str, sizes))}, as in the plan",
        fix=fix,
    )


def slices(ranges: Sequence[Range], places: Places) -> tuple[Any, ...]:
    """An index that cuts these ranges out of the axes (counted from the end)."""
    index: list[Any] = [slice(None)] * -min(places)
    for (a, b), place in zip(ranges, places, strict=True):
        index[place] = slice(a, b)
    return (..., *index)


def read(array: Any, ranges: Sequence[Range], places: Places, sizes: Sequence[int]) -> Any:
    """A tile of an array; ranges outside of it wrap around."""
    if not places:
        return array
    if all(a >= 0 and b <= n for (a, b), n in zip(ranges, sizes, strict=True)):
        return array[slices(ranges, places)]
    pieces: list[list[Range]] = []
    for (a, b), n in zip(ranges, sizes, strict=True):
        cut = [(max(a, k * n) - k * n, min(b, (k + 1) * n) - k * n) for k in range(a // n, -(-b // n))]
        pieces.append([(x, y) for x, y in cut if x < y])

    def joined(axis: int, chosen: list[Range]) -> Any:
        if axis == len(pieces):
            return array[slices(chosen, places)]
        parts = [joined(axis + 1, [*chosen, piece]) for piece in pieces[axis]]
        return parts[0] if len(parts) == 1 else package(parts[0]).concatenate(parts, axis=places[axis])

    return joined(0, [])


def like(result: Any, places: Places, sizes: Sequence[int]) -> Any:
    """An empty array for the whole output, of the kind that the function gives."""
    shape = list(result.shape)
    for place, size in zip(places, sizes, strict=True):
        shape[place] = size
    if hasattr(result, "new_empty"):
        return result.new_empty(shape)
    return package(result).empty(tuple(shape), dtype=result.dtype)


def type_of(array: Any) -> str:
    """The name of the type of an array's values (``float32``), whichever package it is from; empty if it has none."""
    return str(getattr(array, "dtype", "")).removeprefix("torch.")


def holds(given: str, wanted: str) -> bool:
    """Whether a type has every value of another, as far as the packages that are loaded know both.

    >>> import numpy
    >>> holds("float64", "float32"), holds("float32", "float64"), holds("uint8", "int64"), holds("int16", "uint8")
    (True, False, False, True)
    """
    if given == wanted or not given or not wanted:
        return True
    for name in ("numpy", "torch"):
        known: Any = sys.modules.get(name)
        try:
            both = (given, wanted) if name == "numpy" else (getattr(known, given), getattr(known, wanted))
            joined = str(known.promote_types(*both))
        except (TypeError, AttributeError):  # the package is not loaded, or has no such type
            continue
        return joined.removeprefix("torch.") == given
    return True


def whole_numbers(array: Any) -> bool:
    """Whether an array cannot hold fractions, as its type says."""
    return type_of(array).startswith(("int", "uint", "bool"))


def same_memory(one: Any, other: Any) -> bool:
    """Whether writing into one array changes the other: the same array, views of one, or files of the same name."""
    if one is other:
        return True
    for place in ("store_path", "chunk_store"):  # zarr
        if hasattr(one, place) and hasattr(other, place):
            return bool(
                getattr(one, place) == getattr(other, place) and getattr(one, "path", 0) == getattr(other, "path", 0)
            )
    if hasattr(one, "untyped_storage") and hasattr(other, "untyped_storage"):  # PyTorch
        return bool(one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr())
    files = getattr(one, "filename", None), getattr(other, "filename", None)  # memory maps
    if None not in files and files[0] == files[1]:
        (a, n), (b, m) = ((int(x.offset), int(x.nbytes)) for x in (one, other))
        return a < b + m and b < a + n
    shares = getattr(package(one), "shares_memory", None)
    return bool(shares(one, other)) if shares and package(one) is package(other) else False


def package(array: Any) -> Any:
    """The package that an array comes from, which is loaded already."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def detached(array: Any) -> Any:
    """A result without what it was computed from, which a tensor that requires a gradient keeps in memory."""
    detach = getattr(array, "detach", None)
    return detach() if callable(detach) else array
