"""Shapes: the extents of a map without its batch axis, and which of them counts channels.

Imports `size` and `errors` only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError, ShapeError, plural
from rfcalc.core.size import Size, is_number, is_size, native, prod

LARGEST = 10**12  # positions along one axis


class Shape:
    """An immutable shape: `dims`, and the index of the channel axis among them.

    A convolutional map is channels first, `Shape(64, 112, 112)`; a flat vector is `Shape(4096)`; tokens are
    `Shape(196, 768, channel=1)`. The other axes are the *spatial* ones, of any number. The batch is never part of it.

    >>> Shape(3, 224, 224).spatial, Shape(3, 224, 224).values
    ((224, 224), 150528)
    >>> print(Shape(3, 224, 224), Shape(4096))
    3x224x224 4096
    """

    __slots__ = ("channel", "dims", "values")

    dims: tuple[Size, ...]
    channel: int
    values: Size

    def __init__(self, *dims: Size, channel: int = 0) -> None:
        store = object.__setattr__
        if any(type(d) is not int and hasattr(d, "tolist") for d in dims):  # numbers of another library
            dims = native(dims)
        store(self, "dims", dims)
        store(self, "channel", channel)

    def __getattr__(self, name: str) -> Any:
        """`values`, counted when they are first asked for."""
        if name != "values":
            raise AttributeError(f"a shape has no {name}")
        values = prod(self.dims)
        object.__setattr__(self, "values", values)
        return values

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a shape does not change: {name}")

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read `3x224x224` (also with `×`, `*` or `,`, in brackets or not).

        Raises:
            RfcalcError: for anything but whole numbers ≥ 1.

        >>> Shape.parse("3x224x224")
        Shape(3, 224, 224)
        """
        text = text.replace("×", "x").strip()
        inner = text[1:-1].strip().removesuffix(",") if text[:1] + text[-1:] in ("()", "[]") else text
        parts = inner.lower().replace("*", "x").replace(",", "x").split("x")
        try:
            dims = [int(part) for part in parts]
        except ValueError:
            dims = []
        if dims and max(dims) > LARGEST:
            raise RfcalcError(f"{text[:40]!r} is not the size of a map", why=f"the limit of an axis is {LARGEST:,}")
        if not dims or min(dims) < 1 or not text.isascii():
            raise RfcalcError(
                f"{text[:80]!r} is not a shape",
                why="a shape is whole numbers ≥ 1, channels first, without the batch",
                fix=_recovered(text),
            )
        return cls(*dims)

    @classmethod
    def of(cls, value: Any) -> Shape:
        """A shape from a shape, a text or a sequence of sizes."""
        if isinstance(value, Shape):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        value = native(value)
        dims = (value,) if is_size(value) else tuple(value)
        if not dims or not all(is_size(d) for d in dims):
            raise RfcalcError(f"{value!r} is not a shape", fix="give whole numbers, channels first: (3, 224, 224)")
        if any(d < 1 for d in dims if hasattr(d, "__index__") and not getattr(d, "free_symbols", None)):
            raise RfcalcError(f"{value!r} is not a shape", why="every size must be at least 1")
        return cls(*dims)

    @property
    def channels(self) -> Size:
        return self.dims[self.channel]

    @property
    def axes(self) -> tuple[int, ...]:
        """Indices of the spatial axes among `dims`."""
        return tuple(i for i in range(len(self.dims)) if i != self.channel)

    @property
    def spatial(self) -> tuple[Size, ...]:
        """Sizes of the spatial axes: (H, W) for an image, (L,) for a signal, () for a flat vector."""
        return self.dims[1:] if self.channel == 0 else tuple(self.dims[i] for i in self.axes)

    @property
    def rank(self) -> int:
        """How many spatial axes there are."""
        return len(self.dims) - 1

    def with_spatial(self, channels: Size, spatial: tuple[Size, ...]) -> Shape:
        """The shape with these channels and spatial sizes, in the same layout."""
        if self.channel == 0:
            return Shape(channels, *spatial)
        dims = list(spatial)
        dims.insert(self.channel, channels)
        return Shape(*dims, channel=self.channel)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self.dims == other.dims and self.channel == other.channel

    def __hash__(self) -> int:
        return hash((self.dims, self.channel))

    def __str__(self) -> str:
        return "x".join(map(str, self.dims))

    def __repr__(self) -> str:
        layout = f", channel={self.channel}" if self.channel else ""
        return f"Shape({', '.join(map(str, self.dims))}{layout})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.dims, self.channel))


def axis_of(x: Shape, axis: int) -> int:
    """The axis of a map, counted from 0; negative ones count from the end.

    Raises:
        ShapeError: there is none.
    """
    if not hasattr(axis, "__index__") or not -len(x.dims) <= axis < len(x.dims):
        raise ShapeError(f"there is no axis {axis} in {x}", why=f"its axes are 0 … {len(x.dims) - 1}")
    return axis % len(x.dims)


def numbers(*shapes: Shape) -> bool:
    """Whether all extents are plain numbers, none of them a symbol."""
    return all(is_number(n) for shape in shapes for n in shape.dims)


def corrected(given: Shape, wanted: Shape) -> tuple[str, Shape] | None:
    """What is wrong with a shape that was typed, and the shape that was meant; None if nothing shows.

    Args:
        given: the shape as it was typed.
        wanted: a shape that the network takes: its channels and its number of axes count.

    >>> corrected(Shape(224, 224, 3), Shape(3, 224, 224))
    ('shapes are channels first', Shape(3, 224, 224))
    >>> corrected(Shape(1, 3, 64, 64), Shape(3, 224, 224))
    ('shapes are without the batch', Shape(3, 64, 64))
    >>> corrected(Shape(64), Shape(3, 224, 224))
    ('one number is no map of 2 axes', Shape(3, 64, 64))
    """
    if wanted.channel or given.channel:
        return None
    dims, channels, count = given.dims, wanted.channels, len(wanted.dims)
    if len(dims) == count + 1:
        if dims[1] != channels and dims[-1] == channels:
            return "shapes are channels first, without the batch", Shape(channels, *dims[1:-1])
        return "shapes are without the batch", Shape(*dims[1:])
    if len(dims) == count:
        last = dims[-1] == channels and dims[0] != channels
        return ("shapes are channels first", Shape(channels, *dims[:-1])) if last else None
    if count == 1:
        return "the network reads one row of values", Shape(prod(dims))
    if len(dims) == 1:
        return f"one number is no map of {plural(count - 1, 'axis', 'axes')}", Shape(channels, *dims * (count - 1))
    numbers = f"this network is {count - 1}-D: a shape has {count} numbers, channels first"
    if len(dims) == count - 1 and dims[0] != channels:
        return numbers, Shape(channels, *dims)
    if len(dims) < count:
        return numbers, Shape(*dims, *dims[-1:] * (count - len(dims)))
    return numbers, wanted


def by_name(given: Any, names: Sequence[str]) -> dict[str, Any]:
    """What was given for inputs, by their names: a mapping, a list in their order, or one shape for the only one.

    Raises:
        RfcalcError: more or fewer shapes than inputs; the fix names them.

    >>> by_name(["3x8x8", "1x8x8"], ["image", "depth"]), by_name((3, 8, 8), ["image"])
    ({'image': '3x8x8', 'depth': '1x8x8'}, {'image': (3, 8, 8)})
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    several = isinstance(given, (list, tuple)) and any(isinstance(v, (str, Shape, tuple, list)) for v in given)
    shapes = list(given) if several else [given]
    if len(shapes) != len(names):
        many, told = plural(len(names), "input"), plural(len(shapes), "shape")
        raise RfcalcError(
            f"the network has {many}, and {told} {'is' if len(shapes) == 1 else 'are'} given",
            fix="give one" if len(names) == 1 else "name them: " + " ".join(f"{n}=3x224x224" for n in names),
        )
    return dict(zip(names, shapes, strict=True))


USUAL = {1: (16000,), 2: (224, 224), 3: (16, 112, 112)}  # what stands for sizes by the number of axes, in examples


def mistaken(given: Shape, channels: int, axes: int) -> tuple[str, Shape] | None:
    """Why a shape is none that a convolution takes, and the one that is meant; None if its rank and channels fit.

    >>> mistaken(Shape(64, 48, 3), 3, 2), mistaken(Shape(1, 64, 64), 3, 2), mistaken(Shape(3, 8, 8), 3, 2)
    (('shapes are channels first', Shape(3, 64, 48)), ('', Shape(3, 64, 64)), None)
    """
    wanted = Shape(channels, *USUAL[axes])
    same = len(given.dims) == len(wanted.dims)
    if same and given.channels == channels:
        return None
    found = corrected(given, wanted)
    if found is not None and found[1] != given and found[1].channels == channels:
        return found
    return "", Shape(channels, *given.spatial) if same else wanted


IMAGES = (1, 3, 4)  # channels of images
LEAST_SIDE = 16  # pixels of a side from which a number is taken for one


def doubtful(given: Shape) -> tuple[str, Shape] | None:
    """Why a shape for a network that takes any is probably another one, and the one that is meant; None if it is not.

    >>> doubtful(Shape(224, 224, 3)), doubtful(Shape(1, 3, 64, 64)), doubtful(Shape(64, 56, 56))
    (('shapes are channels first', Shape(3, 224, 224)), ('shapes are without the batch', Shape(3, 64, 64)), None)
    >>> doubtful(Shape(64, 48, 48, 3))
    ('shapes are channels first, without the batch', Shape(3, 48, 48))
    >>> doubtful(Shape(224, 224))
    ('a shape begins with the channels', Shape(3, 224, 224))
    """
    dims = given.dims
    if given.channel or not numbers(given):
        return None
    if len(dims) in (3, 4) and dims[-1] in IMAGES and min(dims[-3:-1]) >= LEAST_SIDE and dims[0] not in IMAGES[1:]:
        batch = ", without the batch" if len(dims) == 4 else ""
        return f"shapes are channels first{batch}", Shape(dims[-1], *dims[-3:-1])
    if len(dims) == 4 and dims[1] in IMAGES and min(dims[2:]) >= LEAST_SIDE and dims[0] not in IMAGES[1:]:
        return "shapes are without the batch", Shape(*dims[1:])
    if len(dims) == 2 and dims[0] == dims[1] >= 2 * LEAST_SIDE:
        return "a shape begins with the channels", Shape(3, *dims)
    return None


_PRINTED = (
    re.compile(  # a shape as other libraries print it: torch.Size([3, 8, 8]), None x 8 x 8 x 3, -1,3,8,8, 8x8xRGB
        r"(?:torch\.size|shape|x)?[\s(\[=]*(?P<batch>(?:-1|none|\?|n|b|bs|batch)\s*[x,:/]\s*)?"
        r"(?P<sizes>[1-9]\d{0,8}(?:[\sx,:/;*]+[1-9]\d{0,8}){1,3})[x,]?(?:px|pixels|x?rgb|x?bgr)?[\s)\]]*",
        re.IGNORECASE | re.ASCII,
    )
)


def _recovered(text: str) -> str:
    """What to write for a text that is no shape: its numbers, where they are those of a shape, a batch left out.

    >>> _recovered("torch.Size([3, 32, 32])"), _recovered("Nonex64x64x3"), _recovered("-1,3,8,8"), _recovered("NCHW")
    ('write 3x32x32', 'write 3x64x64', 'write 3x8x8', 'write it like 3x224x224')
    """
    found = _PRINTED.fullmatch(text)
    if found is None:
        return "write it like 3x224x224"
    shape = Shape(*map(int, re.findall(r"\d+", found["sizes"])))
    meant = None if found["batch"] and shape.rank == 3 else doubtful(shape)
    return f"write {shape if meant is None else meant[1]}"


def _rebuild(dims: tuple[Size, ...], channel: int) -> Shape:
    return Shape(*dims, channel=channel)


def axis_groups(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """The axes of a row-major reshape that belong together: of the old dims, of the new ones.

    >>> axis_groups((96, 14, 14), (96, 196))
    [([0], [0]), ([1, 2], [1])]
    """
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        a = b = 1
        left: list[int] = []
        right: list[int] = []
        if i < len(before):
            a, left, i = before[i], [i], i + 1
        if j < len(after):
            b, right, j = after[j], [j], j + 1
        while a != b:
            if a < b and i < len(before):
                a, i = a * before[i], i + 1
                left.append(i - 1)
            elif a > b and j < len(after):
                b, j = b * after[j], j + 1
                right.append(j - 1)
            else:
                break
        found.append((left, right))
    return found
