"""Constants of the graph: their extents, their values where they are few, and the tensors that they come from.

Values are known of shapes, axes, factors; of weights only the extents matter, and which tensors of the file they are.
What depends on an input is a `Value` of the builder.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

from rfcalc.core.errors import LimitError
from rfcalc.core.size import prod
from rfcalc.readers.onnx.model import DTYPES, FLOATING, Tensor
from rfcalc.readers.onnx.wire import BYTES, VARINT, Wire

MOST_VALUES = 1 << 12  # of a constant that is kept
MOST_WHOLE = 1 << 16  # of one of positions and sizes
MOST_OF_MASKS = 1 << 18  # of one of truths, and of numbers that forbid attention
WHOLE = frozenset({6, 7, 9, 12, 13})
FORMS = {1: "f", 2: "B", 3: "b", 4: "H", 5: "h", 6: "i", 7: "q", 9: "?", 10: "e", 11: "d", 12: "I", 13: "Q"}


@dataclass(frozen=True, slots=True)
class Const:
    """A constant: its extents, its values where they are few, the tensors of the file that it was computed from.

    Attributes:
        asked: its values as expressions of lengths of maps, where they are such and that is wanted.
        hangs: the lengths that its extents or values hang on otherwise.
        extents: its extents as expressions of lengths, where they are such.
    """

    dims: tuple[int, ...]
    dtype: int = 7
    values: tuple[Any, ...] | None = None
    origin: tuple[str, ...] = ()
    asked: tuple[Any, ...] | None = field(default=None, compare=False, repr=False)
    hangs: Any = field(default=None, compare=False, repr=False)
    extents: tuple[Any, ...] | None = field(default=None, compare=False, repr=False)

    def noting(self, asked: tuple[Any, ...]) -> Const:
        return Const(self.dims, self.dtype, self.values, self.origin, asked)

    def hanging(self, hangs: Any, extents: tuple[Any, ...] | None = None) -> Const:
        return Const(self.dims, self.dtype, self.values, self.origin, None, hangs, extents)

    @property
    def size(self) -> int:
        return int(prod(self.dims))

    @property
    def floating(self) -> bool:
        return self.dtype in FLOATING

    @property
    def scalar(self) -> Any:
        """The value of a constant of one value; None if it is not known, or there are more."""
        return self.values[0] if self.values is not None and len(self.values) == 1 else None

    @property
    def decimal(self) -> float | None:
        """The finite value of a real constant of one value, as it is typed; None for others.

        >>> Const((), 1, (0.10000000149011612,)).decimal, Const((), 7, (2,)).decimal
        (0.1, None)
        """
        value = self.scalar
        if not self.floating or not isinstance(value, (int, float)) or not isfinite(value):
            return None
        return as_typed(value) if self.dtype == 1 else float(value)


def as_typed(value: float) -> float:
    """The shortest number whose nearest in single precision this is.

    >>> as_typed(0.10000000149011612), as_typed(0.1), as_typed(1e300)
    (0.1, 0.1, 1e+300)
    """
    if abs(value) < 3.4e38:
        for digits in range(1, 10):
            short = float(f"{value:.{digits}g}")
            if struct.unpack("f", struct.pack("f", short)) == (value,):
                return short
    return float(value)


def single(value: float) -> float:
    """A number as single precision holds it."""
    return float(struct.unpack("f", struct.pack("f", value))[0]) if abs(value) < 3.4e38 else value


class Parts(NamedTuple):
    """A sequence of values."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A value of which not even the shape is known, and the operator that left it so."""

    operator: str
    node: int


def checked(dims: tuple[int, ...]) -> tuple[int, ...]:
    """The extents, unless they are absurd.

    Raises:
        LimitError: more than 2^48 values or 64 axes.
    """
    if len(dims) > 64 or prod(n for n in dims if n) > 1 << 48:
        told = "x".join(map(str, dims[:8])) + (" …" if len(dims) > 8 else "")
        raise LimitError(f"a value of {told} is too large", why="the limit is 2^48 values and 64 axes")
    return dims


def constant(tensor: Tensor, wire: Wire, folder: str, made: bool = False) -> Const:
    """A tensor of the file, with its values if they are few and there; `made`: it is written in a node."""
    kept = few(tensor.size, tensor.dtype) or _forbids(tensor, wire)
    values = _values(tensor, wire, folder) if kept else None
    return Const(tensor.dims, tensor.dtype, values, () if made else (tensor.name,))


def few(size: int, dtype: int) -> bool:
    """Whether a constant's values are few enough to be kept."""
    return size <= (MOST_OF_MASKS if dtype == 9 else MOST_WHOLE if dtype in WHOLE else MOST_VALUES)


def _forbids(tensor: Tensor, wire: Wire) -> bool:
    """Whether a tensor holds numbers that no weight has, as those that are added to forbid attention."""
    if tensor.dtype != 1 or tensor.external or not MOST_VALUES < tensor.size <= MOST_OF_MASKS or len(tensor.dims) < 2:
        return False
    for number, kind, value in tensor.parts:
        if number == 9 and kind == BYTES and value[1] - value[0] == 4 * tensor.size:
            step = 4 * max(1, tensor.size // 997 | 1)
            few_ = (struct.unpack_from("<f", wire.data, at)[0] for at in range(value[0], value[1] - 3, step))
            return any(abs(v) >= 1e4 or v == -100.0 for v in few_)
    return False


def few_or_mask(size: int, *parts: Const) -> bool:
    """Whether values made of constants are kept: they are few, or flags and numbers that forbid attention."""
    return few(size, parts[0].dtype) or (
        size <= MOST_OF_MASKS and all(p.size <= MOST_VALUES or _is_mask(p) for p in parts)
    )


def _is_mask(const: Const) -> bool:
    return const.values is not None and (const.dtype == 9 or len(set(const.values)) <= 2)


def sample(tensor: Tensor, wire: Wire, folder: str, most: int = 256) -> tuple[Any, ...] | None:
    """The first values of a tensor; None if they are not there."""
    form = FORMS.get(tensor.dtype)
    if form is None:
        return None
    if tensor.external:
        count = min(tensor.size, most)
        raw = _external(tensor, folder, count)
        return None if raw is None else _unpacked(tensor.dtype, raw, count)
    for number, kind, value in tensor.parts:
        if number == 9 and kind == BYTES:
            start, end = value
            width = struct.calcsize("<" + form)
            count = min(most, (end - start) // width)
            return struct.unpack(f"<{count}{form}", bytes(wire.data[start : start + count * width]))
        if number == 4 and kind == BYTES and tensor.dtype == 1:
            found: list[Any] = []
            wire.floats(kind, (value[0], min(value[1], value[0] + 4 * most)), found)
            return tuple(found)
    return None


def _values(tensor: Tensor, wire: Wire, folder: str) -> tuple[Any, ...] | None:
    count = tensor.size
    if tensor.text or tensor.dtype not in DTYPES:
        return None
    if count == 0:
        return ()
    if tensor.external:
        raw = _external(tensor, folder, count)
        return None if raw is None else _unpacked(tensor.dtype, raw, count)
    found: list[Any] = []
    for number, kind, value in tensor.parts:
        if number == 9:
            if kind != BYTES:
                return None
            raw = bytes(wire.data[value[0] : value[1]])
            return _unpacked(tensor.dtype, raw, count)
        if number in (4, 10):
            wire.floats(kind, value, found, number == 10)
        elif number in (5, 7, 11) and kind in (VARINT, BYTES):
            wire.integers(kind, value, found)
    if tensor.dtype == 10 and found:  # half floats stand as their bits
        found = [struct.unpack("<e", struct.pack("<H", v & 0xFFFF))[0] for v in found]
    return tuple(found) if len(found) == count else None


def _unpacked(dtype: int, raw: bytes, count: int) -> tuple[Any, ...] | None:
    if dtype == 16:  # the upper half of a float32
        if len(raw) != 2 * count:
            return None
        return struct.unpack(f"<{count}f", b"".join(b"\0\0" + raw[i : i + 2] for i in range(0, len(raw), 2)))
    form = FORMS.get(dtype)
    if form is None or len(raw) != struct.calcsize("<" + form) * count:
        return None
    return struct.unpack(f"<{count}{form}", raw)


def _external(tensor: Tensor, folder: str, count: int) -> bytes | None:
    """The first bytes of a tensor in a file beside the model; None if they are not there.

    Only a plain file in the model's folder (or below it) is read, as ONNX demands.
    """
    told = dict(tensor.external)
    location = told.get("location", "")
    if not location or "\0" in location or os.path.isabs(location):
        return None
    path = os.path.realpath(os.path.join(folder, location))
    if not path.startswith(os.path.realpath(folder) + os.sep) or not os.path.isfile(path):
        return None
    bits = DTYPES[tensor.dtype][1]
    width = (count * bits + 7) // 8
    try:
        with open(path, "rb") as file:
            file.seek(int(told.get("offset", "0") or 0))
            raw = file.read(width)
    except (OSError, ValueError, OverflowError):
        return None
    return raw if len(raw) == width else None
