"""One word of the papers' notation, with its options: ``conv3-64/2 p1 d2``. Kinds spell themselves and read words.

A word is a name, a size (``3``, ``1x7``), channels after a dash, a stride after a slash; options follow it. A kind
declares its words and options in a `Spelling`, and where nothing is said, the VGG paper's habits hold: convolutions
have stride 1 and keep the size, pools step by their kernel and have no padding. The text around words (chains,
repetition, branches) is the notation's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import LayerError, NotationError
from rfcalc.core.size import Size, is_number, source
from rfcalc.core.sliding import Rounding, Sliding, keeping_size
from rfcalc.core.window import Border

PADDINGS = ("same", "SAME", "valid")
ROUNDINGS = (Rounding.CEIL, Rounding.CEIL_ONNX)
BORDERS = (Border.REFLECT, Border.REPLICATE, Border.CIRCULAR)
MOST = 1000  # numbers in one word
_VALUE = re.compile(r"[-0-9(?:\"]")
SYMBOL = r"[A-ZΑ-Ωα-ω][0-9]?"  # a name that needs no parentheses where a number could stand
_SYMBOL = re.compile(SYMBOL + "$")


class Spelling(NamedTuple):
    """How a kind is written.

    Attributes:
        words: its names; the first is the usual one.
        example: one line that shows it, for the documentation and the tests.
        flags: options that are words: ``nobias``.
        values: options with a value behind them: ``d`` for ``d2``. The stride ``/`` is one, also written ``s``.
        defaults: what holds where nothing is said.
    """

    words: tuple[str, ...]
    example: str
    flags: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    defaults: str = ""

    def option(self, text: str) -> tuple[str, str] | None:
        """(name, value) if the text is one of the options, else None.

        >>> spelling = Spelling(("conv",), "conv3-8", ("nobias",), ("/", "d"))
        >>> spelling.option("d2"), spelling.option("s2"), spelling.option("nobias"), spelling.option("drop")
        (('d', '2'), ('/', '2'), ('nobias', ''), None)
        """
        if text in self.flags:
            return text, ""
        for name in self.values:
            typed = "s" if name == "/" else name
            if text.startswith(typed) and (_VALUE.match(text, len(typed)) or _SYMBOL.match(text, len(typed))):
                return name, text[len(typed) :]
        return None


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Where numbers in order follow one another: the first and the last of each run.

    >>> runs([0, 1, 2, 5])
    [(0, 2), (5, 5)]
    """
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and found[-1][1] + 1 == n:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


def ranges(numbers: Sequence[int]) -> str:
    """Numbers in order as they are typed, each run by its ends.

    >>> ranges([0, 1, 2, 5])
    '0:2,5'
    """
    return ",".join(f"{a}" if a == b else f"{a}:{b}" for a, b in runs(numbers))


def number(value: Any) -> str:
    """A size as it is typed: digits, ``?`` for None, an expression in parentheses."""
    if value is None:
        return "?"
    if is_number(value):
        return str(value)
    text = source(value)
    return text if _SYMBOL.match(text) else f"({text})"


def sizes(values: tuple[Any, ...]) -> str:
    """``3`` for one number, ``1x7`` for several."""
    return "x".join(map(number, values))


def _expression(text: str) -> Any:
    """A whole-number expression, ``2**i``; what reads it is loaded when the first one is met."""
    from rfcalc.core.integers import read

    return read(text)


def flags(**on: Any) -> str:
    """The options that are on, each after a space.

    >>> flags(nobias=True, ceil=False)
    ' nobias'
    """
    return "".join(f" {name}" for name, said in on.items() if said)


def spell(
    name: str,
    geometry: Sliding,
    channels: Size | None,
    *,
    pad: str = "keep",
    stride: Any = (1,),
    exact: bool = False,
) -> str:
    """A sliding layer in the notation; what equals the default is left out.

    Args:
        pad: the padding that goes without saying: ``keep`` (the size at stride 1) or ``zero``.
        stride: the stride that goes without saying.
        exact: whether one number for all axes is told apart from the same number for each.
    """
    text = name + sizes(geometry.kernel)
    if channels is not None:
        text += f"-{number(channels)}"
    if geometry.stride != stride:
        text += f"/{sizes(geometry.stride)}"
    usual = keeping_size(geometry.kernel, geometry.dilation) if pad == "keep" else ((0, 0),)
    if geometry.padding != usual and (exact or not _alike(geometry.padding, usual)):
        text += f" {padding(geometry.padding)}"
    if geometry.dilation != (1,) and (exact or any(d != 1 for d in geometry.dilation)):
        text += f" d{sizes(geometry.dilation)}"
    if geometry.rounding != Rounding.FLOOR:
        text += f" {geometry.rounding}"
    if geometry.border != Border.ZEROS:
        text += f" {geometry.border}"
    return text


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return bool(a == b)
    rank = max(len(a), len(b))
    return all((a * rank)[i] == (b * rank)[i] for i in range(rank)) if {len(a), len(b)} <= {1, rank} else False


def pairs(values: Any) -> str:
    """``1``, ``0x2`` (axis by axis), ``1:2`` (before and after)."""
    return "x".join(number(a) if a == b else f"{number(a)}:{number(b)}" for a, b in values)


def padding(value: Any) -> str:
    """``p1``, ``p0x2``, ``p1:2``, ``same``, ``SAME``."""
    return value if isinstance(value, str) else f"p{pairs(value)}"


def split(text: str, signs: str = "x×,") -> list[str]:
    """The parts between the signs, outside parentheses.

    >>> split("1x(2*x)x3")
    ['1', '(2*x)', '3']
    """
    parts = []
    depth = start = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and c in signs:
            parts.append(text[start:i])
            start = i + 1
            if len(parts) > MOST:
                raise NotationError("there are too many numbers in one word", why=f"the limit is {MOST}")
    return [*parts, text[start:]]


class Word:
    """A word that has been read: `name`, and as text its `size`, `channels` and `options` by name (flags hold "").

    The kind asks for what it understands; what nobody asked for is refused. `defaults` collects what was taken for
    granted, `culprit` names the option that an error is about.
    """

    __slots__ = ("_channels", "_size", "culprit", "defaults", "name", "options", "text", "used")

    def __init__(self, text: str, name: str, size: str, channels: str, options: dict[str, str]) -> None:
        self.text, self.name, self._size, self._channels, self.options = text, name, size, channels, options
        self.used: set[str] = set()
        self.defaults: list[str] = []
        self.culprit: str | None = None

    @property
    def size(self) -> tuple[Any, ...] | None:
        """The numbers after the name; None for one that is written ``?``; None if there are none."""
        self.used.add("size")
        if not self._size:
            return None
        if self._size.isascii() and self._size.isdecimal() and len(self._size) <= 15:
            return (int(self._size),)
        parts = split(self._size)
        if len(parts) > 1 and not parts[-1]:
            parts.pop()  # split4x: a list of one
        return tuple(self._number(part, self._size) for part in parts)

    @property
    def size_text(self) -> str:
        self.used.add("size")
        return self._size

    @property
    def channels(self) -> Size | None:
        self.used.add("channels")
        return self._number(self._channels, self._channels, bare=True) if self._channels else None

    def need_channels(self) -> Size:
        channels = self.channels
        if channels is None:
            word = re.match(r"([a-zA-Z]+[0-9]*(?:x[0-9]+)*)[^0-9]*([0-9]*)", self.text)
            meant = f"{word[1]}-{word[2] or 64}" if word else f"{self.text}-64"
            if word and not word[2] and (last := re.fullmatch(r"([a-zA-Z]+)((?:[0-9]x)*)([0-9]{2,})", word[1])):
                meant = f"{last[1]}{last[2].rstrip('x') or 3}-{last[3]}"  # conv3x64, conv64
            error = NotationError(f"{self.text!r} has no channels", fix=f"write them after a dash: {meant}")
            error.mends = True
            raise error
        return channels

    def need_size(self) -> tuple[Any, ...]:
        size = self.size
        if size is None:
            raise NotationError(f"{self.text!r} has no size", fix=f"write it after the name: {self.name}3")
        return size

    def one_size(self, default: Any = None) -> Any:
        """The one number after the name.

        Raises:
            NotationError: there are several; or none, and there is no default.
        """
        size = self.size
        if size is None and default is not None:
            return default
        size = self.need_size()
        if len(size) != 1 or size[0] is None:
            raise NotationError(f"{self.text!r} takes one number", fix=f"write it like {self.name}{4}")
        return size[0]

    def flag(self, name: str) -> bool:
        self.used.add(name)
        return name in self.options

    def choice(self, names: tuple[str, ...], default: str) -> str:
        """Which of some flags is set.

        Raises:
            NotationError: more than one is.
        """
        said = [name for name in names if self.flag(name)]
        if len(said) > 1:
            self.culprit = said[1]
            raise NotationError(f"{said[0]} and {said[1]} exclude each other", fix="write one of them")
        return said[0] if said else default

    def value(self, name: str) -> str | None:
        """The text of an option, or None."""
        self.used.add(name)
        return self.options.get(name)

    def number(self, name: str, default: Any) -> Any:
        values = self.numbers(name, (default,))
        if len(values) != 1:
            self.culprit = name
            raise NotationError(f"{name}{self.options[name]} takes one number")
        return values[0]

    def numbers(self, name: str, default: tuple[Any, ...]) -> tuple[Any, ...]:
        text = self.value(name)
        if text is None:
            return default
        self.culprit = name
        found = tuple(self._number(part, name + text, bare=name == "/") for part in split(text))
        self.culprit = None
        return found

    def pairs(self, text: str, name: str) -> tuple[tuple[Any, Any], ...]:
        """Pairs (before, after) axis by axis: ``1``, ``0x2``, ``1:2``."""
        self.culprit = name
        found = []
        for part in split(text):
            ends = split(part, ":")
            if len(ends) > 2:
                raise NotationError(f"{name}{text} is not a padding", fix=f"write {name}1, {name}0x2 or {name}1:2")
            values = [self._number(e, name + text) for e in ends]
            found.append((values[0], values[-1]))
        self.culprit = None
        return tuple(found)

    def _number(self, text: str, whole: str, bare: bool = False) -> Any:
        """A number, ``?``, an expression in parentheses; `bare`: a name may stand without them."""
        if text in ("?", "_"):
            return None
        if text.startswith("("):
            if not text.endswith(")"):
                raise NotationError(f"{whole!r} is not a number", fix="write expressions in parentheses: d(2**i)")
            return _expression(text[1:-1])
        digits = text[1:] if text.startswith("-") else text
        named = _SYMBOL.match(text) or (bare and text.isidentifier())
        if not (digits.isascii() and digits.isdecimal()) and not named:
            raise NotationError(f"{text or whole!r} is not a number", fix="write digits, or an expression: d(2**i)")
        return int(text) if digits is text and len(text) <= 15 and not named else _expression(text)

    def bounds(self, name: str, most: int) -> tuple[Size | None, Size | None]:
        """The two ends of an option like ``at2:-1``; None where one is left out."""
        text = self.value(name)
        ends = split(text, ":") if text else []
        if len(ends) > most:
            self.culprit = name
            raise LayerError(f"{name}{text} has more than {most} ends", fix=f"write {name}0:8")
        found = [self.end(e, name) if e else None for e in ends]
        return (found[0] if found else None), (found[1] if len(found) > 1 else None)

    def end(self, text: str, name: str) -> Any:
        """One number inside an option's value."""
        self.culprit = name
        found = self._number(text, name + text)
        self.culprit = None
        return found

    def pads(self) -> Any:
        """The padding said, or None."""
        mode = self.choice(PADDINGS, "")
        text = self.value("p")
        if mode:
            if text is not None:
                self.culprit = "p"
                raise NotationError(f"{mode} and p{text} exclude each other", fix="write one of them")
            return mode
        return None if text is None else self.pairs(text, "p")

    def geometry(self, pad: str, stride: str = "one") -> Sliding:
        """Kernel, stride, padding, dilation and rounding, with the defaults of the notation."""
        kernel = self.size
        if kernel is None:
            if stride != "kernel":
                self.need_size()
            kernel = (2,)
            self.defaults.append("kernel 2")
        steps = self.numbers("/", kernel if stride == "kernel" else (1,))
        dilation = self.numbers("d", (1,))
        said = self.pads()
        rounding = self.choice(ROUNDINGS, Rounding.FLOOR)
        border = self.choice(BORDERS, Border.ZEROS)
        if "/" not in self.options:
            self.defaults.append("stride = kernel" if stride == "kernel" else "stride 1")
        if said is None:
            self.defaults.append("padding that keeps the size at stride 1" if pad == "keep" else "no padding")
            if None in kernel or None in dilation or 1 < len(kernel) != len(dilation) > 1:
                raise NotationError(f"kernel and dilation of {self.text!r} do not fit", fix="write a number an axis")
            said = keeping_size(kernel, dilation) if pad == "keep" else ((0, 0),)
        return Sliding(kernel, steps, said, dilation, rounding, border)

    def unused(self) -> str | None:
        """What was written that the kind did not ask for: ``size``, ``channels`` or an option; None if nothing."""
        if self._size and "size" not in self.used:
            return "size"
        if self._channels and "channels" not in self.used:
            return "channels"
        return next((name for name in self.options if name not in self.used), None)
