"""One word of the papers' notation, with its options: ``conv3-64/2 p1 d2``. Kinds spell themselves and read words.

A word is a name, a size (``3``, ``1x7``), channels after a dash; options follow it. Where nothing is said, the VGG
paper's habits hold: convolutions have stride 1 and keep the size, pools step by their kernel and have no padding.
The text around words (chains, repetition, branches) is the notation's business. Imports levels 0 and 1 only.
"""

from __future__ import annotations

from typing import Any

from rfcalc.errors import NotationError
from rfcalc.size import Size
from rfcalc.sliding import Sliding, one


def sizes(values: tuple[Any, ...]) -> str:
    """``3`` for one number, ``1x7`` for several."""
    return "x".join(map(str, values))


def spell(
    name: str,
    geometry: Sliding,
    channels: Size | None,
    *flags: str,
    pad: str = "keep",
    stride: Any = (1,),
    bias: bool = True,
    groups: Size = 1,
    table: Any = None,
    **options: Any,
) -> str:
    """A sliding layer in the notation; what equals the default is left out.

    Args:
        pad: the padding that goes without saying: ``keep`` (the size at stride 1) or ``zero``.
        stride: the stride that goes without saying.
    """
    text = name + sizes(geometry.kernel)
    if channels is not None:
        text += f"-{channels}"
    if geometry.stride != stride:
        text += f"/{sizes(geometry.stride)}"
    usual = geometry.keeps_size() if pad == "keep" else ((0, 0),)
    if not _same_padding(geometry.padding, usual):
        text += f" {padding(geometry.padding)}"
    if any(d != 1 for d in geometry.dilation):
        text += f" d{sizes(geometry.dilation)}"
    if groups != 1:
        text += f" g{groups}"
    if options.get("multiplier", 1) != 1:
        text += f" m{options['multiplier']}"
    if "op" in options:
        text += f" op{options['op']}"
    if "power" in options:
        text += f" power{options['power']}"
    if geometry.rounding != "floor":
        text += f" {geometry.rounding}"
    if geometry.border != "zeros":
        text += f" {geometry.border}"
    if table is not None:
        text += " table"
    if not bias:
        text += " nobias"
    return " ".join((text, *flags))


def _same_padding(a: Any, b: Any) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return bool(a == b)
    rank = max(len(a), len(b))
    return all(one(a, i) == one(b, i) for i in range(rank))


def padding(value: Any) -> str:
    """``p1``, ``p0x2`` (axis by axis), ``p1:2`` (before and after), ``same``, ``SAME``."""
    if isinstance(value, str):
        return value
    return "p" + "x".join(str(a) if a == b else f"{a}:{b}" for a, b in value)


class Word:
    """A word that has been read: `name`, `size`, `channels`, `options` (text by option name; flags hold "")."""

    __slots__ = ("channels", "defaults", "name", "options", "size", "text", "used")

    def __init__(
        self, text: str, name: str, size: tuple[int, ...] | None, channels: int | None, options: dict[str, str]
    ) -> None:
        self.text, self.name, self.size, self.channels, self.options = text, name, size, channels, options
        self.used: set[str] = set()
        self.defaults: list[str] = []  # what was taken for granted, in words

    def need_channels(self) -> int:
        if self.channels is None:
            raise NotationError(f"{self.text!r} has no channels", fix=f"write them after a dash: {self.text}-64")
        return self.channels

    def need_size(self) -> tuple[int, ...]:
        if self.size is None:
            raise NotationError(f"{self.text!r} has no size", fix=f"write it after the name: {self.name}3")
        return self.size

    def flag(self, name: str) -> bool:
        self.used.add(name)
        return name in self.options

    def number(self, name: str, default: int) -> int:
        values = self.numbers(name, (default,))
        if len(values) != 1:
            raise NotationError(f"{name}{self.options[name]} takes one number", where=self.text)
        return values[0]

    def numbers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        self.used.add(name)
        text = self.options.get(name)
        if text is None:
            return default
        try:
            return tuple(int(part) for part in text.replace(",", "x").split("x"))
        except ValueError:
            raise NotationError(f"{name}{text} is not a number", where=self.text) from None

    def pads(self) -> Any:
        """The padding said, or None."""
        for mode in ("same", "SAME", "valid"):
            if self.flag(mode):
                return mode
        self.used.add("p")
        text = self.options.get("p")
        if text is None:
            return None
        try:
            pairs = [tuple(int(v) for v in part.split(":")) for part in text.replace(",", "x").split("x")]
        except ValueError:
            raise NotationError(f"p{text} is not a padding", where=self.text, fix="write p1, p0x2 or p1:2") from None
        return tuple((p[0], p[-1]) for p in pairs)

    def geometry(self, pad: str, stride: str = "one") -> Sliding:
        """Kernel, stride, padding, dilation and rounding, with the defaults of the notation."""
        kernel = self.need_size()
        steps = self.numbers("/", kernel if stride == "kernel" else (1,))
        dilation = self.numbers("d", (1,))
        said = self.pads()
        pools = stride == "kernel"
        rounding = next((r for r in ("ceil", "ceil-onnx") if pools and self.flag(r)), "floor")
        border = next((b for b in ("reflect", "replicate", "circular") if self.flag(b)), "zeros")
        if "/" not in self.options:
            self.defaults.append("stride = kernel" if stride == "kernel" else "stride 1")
        if said is None:
            self.defaults.append("padding that keeps the size at stride 1" if pad == "keep" else "no padding")
            said = Sliding(kernel, dilation=dilation).keeps_size() if pad == "keep" else ((0, 0),)
        return Sliding(kernel, steps, ((0, 0),) if said == "valid" else said, dilation, rounding, border)

    def plain_numbers(self) -> tuple[int, ...] | None:
        """The numbers written as its size, or None."""
        return self.size

    def unused(self) -> list[str]:
        """Options that the kind did not ask for."""
        return [name for name in self.options if name not in self.used]
