"""timm's block strings: ``ds_r1_k3_s1_e1_c16_se0.25``, alone, in lines, or as an `arch_def` (a list of lists).

Read as `timm.models._efficientnet_builder` decodes and builds them: channels are rounded to multiples of 8, only the
first block of a stage has the stride, a skip stands where stride is 1 and the channels stay. What the strings leave
out is said: the activation (ReLU), the squeeze (of EfficientNet: rounded, a sigmoid gate), the padding (symmetric).
"""

from __future__ import annotations

import ast
import re
from typing import Any, NamedTuple

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.norm import BatchNorm
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.pool import GlobalPool
from rfcalc.readers.configuration import shown
from rfcalc.readers.imported import Imported
from rfcalc.readers.text.chain import SIDE, TextChain

KINDS = ("ir", "ds", "dsa", "er", "cn", "uir")
LATER = ("mha", "mqa")
ACTIVATIONS = {"re": "relu", "r6": "relu6", "hs": "hardswish", "sw": "silu", "mi": "mish"}
MOST_BLOCKS = 10_000
_STRING = re.compile(rf"({'|'.join((*KINDS, *LATER))})(_[a-z]+[\d.]*)+")
_LOOKS = re.compile(rf"[\s\[('\"]*({'|'.join((*KINDS, *LATER))})(_[a-z]+[\d.]*)+")
_OPTION = re.compile(r"([a-z]+)(\d[\d.]*)$")


class BlockString(NamedTuple):
    """One decoded string."""

    text: str
    kind: str
    options: dict[str, str]
    skip: bool | None
    act: str | None

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        told = self.options.get(key)
        if told is None and default is not None:
            return default
        if told is None or not told.isdecimal() or len(told) > 9:
            what = "is not given" if told is None else f"is {told[:20]}: kernels of several sizes are not understood"
            raise RfcalcError(f"{key} {what}", where=shown(self.text))
        return int(told)

    def ratio(self, key: str, default: float) -> float:
        """A ratio."""
        told = self.options.get(key)
        try:
            return default if told is None else float(told[:30])
        except ValueError:
            raise RfcalcError(f"{key} is {shown(told)}, not a number", where=shown(self.text)) from None


def looks(text: str) -> bool:
    """Whether a text is made of block strings."""
    found = _LOOKS.match(text)
    return found is not None and re.search(r"_r\d", found[0]) is not None


def divisible(value: float) -> int:
    """timm's rounding of channels: the nearest multiple of 8, but not below nine tenths of the value.

    >>> divisible(12), divisible(16 * 4.5), divisible(90)
    (16, 72, 88)
    """
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def stages(text: str) -> list[list[str]]:
    """The strings, in stages: those of an `arch_def`, else each string is a stage."""
    stripped = text.strip().rstrip(",")
    if stripped.startswith("["):
        try:
            listed = ast.literal_eval(stripped)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise RfcalcError("this is not a list of block strings", fix="[['ds_r1_k3_s1_e1_c16'], …]") from None
        nested = [entry if isinstance(entry, list) else [entry] for entry in listed]
        if not nested or not all(isinstance(s, str) for stage in nested for s in stage) or not all(nested):
            raise RfcalcError("this is not a list of block strings", fix="[['ds_r1_k3_s1_e1_c16'], …]")
        return nested
    return [[s] for s in re.split(r"[\s,;]+", stripped.replace("'", "").replace('"', "")) if s]


def decode(text: str) -> BlockString:
    """One string."""
    if not _STRING.fullmatch(text):
        raise RfcalcError(f"{shown(text)} is not a block string", fix="write it like ir_r2_k3_s2_e6_c24")
    kind, *parts = text.split("_")
    options: dict[str, str] = {}
    skip: bool | None = None
    act: str | None = None
    for part in parts:
        match = _OPTION.match(part)
        if part in ("skip", "noskip"):
            skip = part == "skip"
        elif part.startswith("n") and part[1:] in ACTIVATIONS:
            act = ACTIVATIONS[part[1:]]
        elif match is None:
            raise RfcalcError(f"{shown(part)} is not an option of a block", where=shown(text))
        else:
            options[match[1]] = match[2]
    if kind in LATER:
        raise RfcalcError(f"attention blocks ({kind}) are not understood", where=shown(text))
    if "cc" in options or (kind in ("ir", "ds", "dsa") and "d" in options):
        raise RfcalcError("conditional convolutions and space-to-depth are not understood", where=shown(text))
    return BlockString(text, kind, options, skip, act)


def read(text: str, given: Any) -> Imported:
    """The network of the blocks.

    >>> found = read("ds_r1_k3_s1_e1_c16", (32, 112, 112)).network
    >>> [node.name for node in found.nodes]
    ['blocks.0.0.conv_dw', 'blocks.0.0.bn1', 'blocks.0.0.bn1.act', 'blocks.0.0.conv_pw', 'blocks.0.0.bn2']
    """
    decoded = [[decode(s) for s in stage] for stage in stages(text)]
    count = sum(b.integer("r") for stage in decoded for b in stage)
    if count > MOST_BLOCKS:
        raise LimitError(f"{count:,} blocks are too many", why=f"the limit is {MOST_BLOCKS:,}")
    chain = TextChain(given, (3, SIDE, SIDE))
    chain.note("timm's block strings: padding is symmetric, channels are rounded to multiples of 8")
    if any(b.act is None for stage in decoded for b in stage):
        chain.note("blocks without an activation of their own have ReLU, timm's default")
    if any(b.ratio("se", 0) for stage in decoded for b in stage):
        chain.note("squeeze-and-excitation is EfficientNet's: of the block's input, rounded, with a sigmoid gate")
    for i, stage in enumerate(decoded):
        n = 0
        for block in stage:
            for _ in range(block.integer("r")):
                _Maker(chain, f"blocks.{i}.{n}", block).make(block.integer("s") if n == 0 else 1)
                n += 1
    return chain.finish()


class _Maker(NamedTuple):
    """Builds one block."""

    chain: TextChain
    name: str
    block: BlockString

    def make(self, stride: int) -> None:
        chain, b = self.chain, self.block
        if stride not in (1, 2):
            raise RfcalcError(f"the stride {stride} is neither 1 nor 2", where=shown(b.text))
        begin, c_in = chain.at, int(chain.shape.channels)
        out = divisible(b.integer("c"))
        skip = stride == 1 and c_in == out
        if b.kind == "cn":
            groups = self.groups(c_in, 0)
            self.conv("conv", out, b.integer("k"), stride, groups, "bn1")
            skip = skip and b.skip is True
        elif b.kind in ("ds", "dsa"):
            self.conv("conv_dw", c_in, b.integer("k"), stride, self.groups(c_in, 1), "bn1")
            self.squeeze(b.ratio("se", 0))
            self.conv("conv_pw", out, b.integer("p", 1), 1, 1, "bn2", act=b.kind == "dsa")
            skip = skip and b.skip is not False and b.kind == "ds"
        else:
            {"ir": self.inverted, "er": self.edge, "uir": self.universal}[b.kind](stride, out)
            skip = skip and b.skip is not False
        if skip:
            chain.add(Add(), f"{self.name}.add", [chain.at, begin])

    def groups(self, channels: int, default: int) -> int:
        """The number of groups of a size; 0: one group."""
        size = self.block.integer("gs", default)
        if size and channels % size:
            raise RfcalcError(
                f"{channels} channels cannot be split into groups of {size}", where=shown(self.block.text)
            )
        return channels // size if size else 1

    def conv(self, name: str, out: int, kernel: int, stride: int, groups: int, norm: str, act: bool = True) -> None:
        """A convolution without bias, with timm's symmetric padding; batch normalisation, an activation."""
        padding = (stride - 1 + kernel - 1) // 2
        made = Conv(out, kernel, stride=stride, padding=padding, groups=groups, bias=False)
        self.chain.add(made, f"{self.name}.{name}")
        self.chain.add(BatchNorm(), f"{self.name}.{norm}")
        if act:
            self.chain.add(Activation(self.block.act or "relu"), f"{self.name}.{norm}.act")

    def squeeze(self, ratio: float) -> None:
        """Squeeze and excitation: each channel times a gate computed from all channels' means."""
        if not ratio:
            return
        chain, at = self.chain, self.chain.at
        channels = int(chain.shape.channels)
        reduced = round(channels * ratio)
        chain.add(GlobalPool(), f"{self.name}.se.pool")
        chain.add(Conv(reduced, 1), f"{self.name}.se.conv_reduce")
        chain.add(Activation(self.block.act or "relu"), f"{self.name}.se.act1")
        chain.add(Conv(channels, 1), f"{self.name}.se.conv_expand")
        gate = chain.add(Activation("sigmoid"), f"{self.name}.se.gate")
        chain.add(Multiply(), f"{self.name}.se", [at, gate])

    def inverted(self, stride: int, out: int) -> None:
        """Expansion, depthwise convolution, squeeze, projection."""
        b = self.block
        ratio = b.ratio("e", 1.0)
        mid = divisible(self.chain.shape.channels * ratio)
        self.conv("conv_pw", mid, b.integer("a", 1), 1, 1, "bn1")
        self.conv("conv_dw", mid, b.integer("k"), stride, self.groups(mid, 1), "bn2")
        self.squeeze(b.ratio("se", 0) / ratio if ratio else 0)
        self.conv("conv_pwl", out, b.integer("p", 1), 1, 1, "bn3", act=False)

    def edge(self, stride: int, out: int) -> None:
        """A full convolution that expands, squeeze, projection."""
        b = self.block
        ratio = b.ratio("e", 1.0)
        base = divisible(b.integer("fc", 0)) if b.integer("fc", 0) else self.chain.shape.channels
        mid = divisible(base * ratio)
        self.conv("conv_exp", mid, b.integer("k"), stride, self.groups(mid, 0), "bn1")
        self.squeeze(b.ratio("se", 0) / ratio if ratio else 0)
        self.conv("conv_pwl", out, b.integer("p", 1), 1, 1, "bn2", act=False)

    def universal(self, stride: int, out: int) -> None:
        """MobileNetV4's: depthwise convolutions before, within and after the expansion, each of which may be missing.

        The stride is the middle one's, else the first's, else the last's."""
        b, c_in = self.block, int(self.chain.shape.channels)
        ratio = b.ratio("e", 1.0)
        start, middle, end = b.integer("a", 0), b.integer("k"), b.integer("p", 0)
        if stride > 1 and not (start or middle or end):
            raise RfcalcError("nothing has the stride", where=shown(b.text))
        if start:
            groups = self.groups(c_in, 1)
            self.conv("dw_start.conv", c_in, start, 1 if middle else stride, groups, "dw_start.bn", act=False)
        mid = divisible(c_in * ratio)
        self.conv("pw_exp.conv", mid, 1, 1, 1, "pw_exp.bn")
        if middle:
            self.conv("dw_mid.conv", mid, middle, stride, self.groups(mid, 1), "dw_mid.bn")
        self.squeeze(b.ratio("se", 0) / ratio if ratio else 0)
        self.conv("pw_proj.conv", out, 1, 1, 1, "pw_proj.bn", act=False)
        if end:
            groups = self.groups(out, 1)
            self.conv("dw_end.conv", out, end, 1 if start or middle else stride, groups, "dw_end.bn", act=False)
