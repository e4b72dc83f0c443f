"""Darknet's network files (`.cfg`): sections ``[convolutional]``, ``[route]``, … with ``key=value`` lines.

Read as darknet's own parser does (AlexeyAB's, of which pjreddie's is the older half): ``pad=1`` means half the kernel
and overrides ``padding``; a max pool pads its size − 1 in all, the smaller half before; ``[avgpool]`` is global;
indices are negative from the section, or absolute. A convolution with ``batch_normalize`` has no bias, its batch
normalisation has. An activation that is not written is ``logistic``, the sigmoid; of a shortcut none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Concat, Multiply
from rfcalc.layers.norm import LRN, BatchNorm
from rfcalc.layers.pointwise import Activation, Dropout, Identity, Softmax
from rfcalc.layers.pool import AvgPool, GlobalPool, MaxPool
from rfcalc.layers.resample import Pad, PixelShuffle, PixelUnshuffle, Upsample
from rfcalc.layers.reshape import Flatten, Reshape
from rfcalc.layers.slice import Slice, Split
from rfcalc.readers.configuration import integer, shown
from rfcalc.readers.imported import Imported
from rfcalc.readers.text.chain import TextChain

_SECTION = re.compile(r"\[(\w{1,40})\]")
_LOOKS = re.compile(r"(?m)^\s*\[(net|network|convolutional|conv)\]")
ACTIVATIONS = {
    "leaky": "leaky_relu", "relu": "relu", "relu6": "relu6", "logistic": "sigmoid", "tanh": "tanh", "mish": "mish",
    "swish": "silu", "elu": "elu", "selu": "selu", "gelu": "gelu", "hard_mish": "mish",
}  # fmt: skip
POINTWISE = ("ramp", "hardtan", "loggy", "lhtan", "plse", "stair", "relie")
ALIASES = {
    "conv": "convolutional", "conn": "connected", "max": "maxpool", "avg": "avgpool", "lrn": "normalization",
    "soft": "softmax", "network": "net", "local_avg": "local_avgpool",
}  # fmt: skip


class Section(NamedTuple):
    """One section: its kind, its options, the line that it stands on."""

    kind: str
    options: dict[str, str]
    line: int

    @property
    def where(self) -> str:
        return f"line {self.line}, [{self.kind}]"

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number; darknet reads what stands in front of anything else."""
        told = self.options.get(name)
        if told is None:
            if default is None:
                raise RfcalcError(f"{name} is not given", where=self.where)
            return default
        match = re.match(r"\s*([+-]?\d{1,12})", told)
        if match is None:
            raise RfcalcError(f"{name} is {shown(told)}, not a number", where=self.where)
        return integer(int(match[1]), self.where)

    def listed(self, name: str) -> list[int]:
        """Whole numbers with commas between them."""
        told = self.options.get(name, "")
        if not re.fullmatch(r"\s*-?\d{1,9}\s*(,\s*-?\d{1,9}\s*)*,?\s*", told):
            raise RfcalcError(f"{name} is {shown(told)}, not a list of layers", where=self.where, fix=f"{name}=-1, 61")
        return [int(n) for n in told.split(",") if n.strip()]


def looks(text: str) -> bool:
    """Whether a text is a darknet file."""
    return _LOOKS.search(text) is not None


def sections(text: str) -> list[Section]:
    """The sections of a file; lines beginning with # or ; are comments."""
    found: list[Section] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        match = _SECTION.match(line)
        if match is not None:
            kind = match[1].lower()
            found.append(Section(ALIASES.get(kind, kind), {}, number))
            continue
        key, sign, value = line.partition("=")
        if not sign or not found:
            raise RfcalcError(f"{shown(line)} is neither a section nor key=value", where=f"line {number}")
        found[-1].options[key.strip().lower()] = value.strip()
    return found


class _Reader(NamedTuple):
    chain: TextChain
    ends: list[str]  # the node that each section ends with

    def name(self, kind: str) -> str:
        """The name of a section's node: its kind and its index, as darknet prints it."""
        return f"{kind}_{len(self.ends)}"

    def layer(self, index: int, section: Section) -> str:
        """The node of the section that an index names."""
        at = index if index >= 0 else len(self.ends) + index
        if not 0 <= at < len(self.ends):
            raise RfcalcError(
                f"there is no layer {index} before it", where=section.where, why=f"{len(self.ends)} stand before"
            )
        return self.ends[at]

    def activate(self, section: Section, name: str, default: str) -> None:
        """The activation that a section ends with."""
        told = section.options.get("activation", default).lower()
        if told == "linear":
            return
        if told in ACTIVATIONS:
            self.chain.add(Activation(ACTIVATIONS[told]), f"{name}.{told}")
        elif told in POINTWISE:
            self.chain.add(Elementwise(told), f"{name}.{told}")
        else:
            raise RfcalcError(
                f"the activation {shown(told)} is not known", where=section.where, fix=f"use {', '.join(ACTIVATIONS)}"
            )


def read(text: str, given: Any) -> Imported:
    """The network of a file.

    >>> text = "[net]\\nwidth=8\\nheight=8\\n[convolutional]\\nfilters=4\\nsize=3\\npad=1\\nactivation=leaky"
    >>> read(text, None).network
    Network(Conv(4, 3, padding=1).named('conv_0') >> Activation('leaky_relu').named('conv_0.leaky'), '3x8x8')
    """
    listed = sections(text)
    if not listed or listed[0].kind != "net":
        raise RfcalcError(
            "the first section is not [net]", fix="a darknet file begins with [net], which has the input's size"
        )
    TextChain.few(len(listed))
    net = listed[0]
    size = (net.integer("channels", 3), net.integer("height", 0), net.integer("width", 0))
    if min(size) < 1:
        if given is None:
            raise RfcalcError("[net] does not tell the input's width and height", fix="give them: --input 3x416x416")
        size = (3, 1, 1)
    reader = _Reader(TextChain(given, size, told=True), [])
    for section in listed[1:]:
        if section.kind == "net":
            raise RfcalcError("there is a second [net]", where=section.where)
        function = SECTIONS.get(section.kind)
        if function is None:
            raise RfcalcError(
                f"[{section.kind}] is not understood",
                where=f"line {section.line}",
                why="what it makes is not written in the file",
                fix=f"understood are {', '.join(SECTIONS)}",
            )
        try:
            function(reader, section)
        except RfcalcError as error:
            raise error.at(section.where) from None
        reader.ends.append(reader.chain.at)
    return reader.chain.finish()


def _conv(reader: _Reader, s: Section) -> None:
    x, name = reader.chain.shape, reader.name("conv")
    size = s.integer("size", 1)
    padding = size // 2 if s.integer("pad", 0) else s.integer("padding", 0)
    stride = s.integer("stride", 1)
    steps = (s.integer("stride_y", stride), s.integer("stride_x", stride))
    groups, dilation = s.integer("groups", 1), s.integer("dilation", 1) if size > 1 else 1
    normed = s.integer("batch_normalize", 0) or s.integer("cbn", 0)
    if any(s.integer(key, 0) for key in ("antialiasing", "share_index", "sway", "rotate", "stretch", "stretch_sway")):
        raise RfcalcError("antialiasing, shared and deformed kernels are not understood", where=s.where)
    if len(x.dims) != 3:
        raise RfcalcError("a convolution needs a map, and gets a flat vector", where=s.where)
    made = Conv(
        s.integer("filters", 1), size, stride=steps[0] if steps[0] == steps[1] else steps,
        padding=padding, dilation=dilation, groups=groups, bias=not normed,
    )  # fmt: skip
    reader.chain.add(made, name)
    if normed:
        reader.chain.add(BatchNorm(), f"{name}.bn")
    reader.activate(s, name, "logistic")


def _pool(reader: _Reader, s: Section) -> None:
    stride = s.integer("stride", 1)
    steps = (s.integer("stride_y", stride), s.integer("stride_x", stride))
    size = s.integer("size", stride)
    padding = s.integer("padding", size - 1)
    if s.integer("maxpool_depth", 0) or s.integer("antialiasing", 0):
        raise RfcalcError("pools over channels and antialiasing are not understood", where=s.where)
    sides = ((padding // 2, padding - padding // 2),)
    step = steps[0] if steps[0] == steps[1] else steps
    if s.kind == "maxpool":
        reader.chain.add(MaxPool(size, step, padding=sides), reader.name("maxpool"))
    else:
        reader.chain.add(AvgPool(size, step, padding=sides, count_padding=False), reader.name("avgpool"))


def _avgpool(reader: _Reader, s: Section) -> None:
    reader.chain.add(GlobalPool(), reader.name("avgpool"))


def _connected(reader: _Reader, s: Section) -> None:
    name = reader.name("connected")
    if len(reader.chain.shape.dims) > 1:
        reader.chain.add(Flatten(), f"{name}.flatten")
    normed = s.integer("batch_normalize", 0)
    reader.chain.add(Linear(s.integer("output", 1), bias=not normed), name)
    if normed:
        reader.chain.add(BatchNorm(), f"{name}.bn")
    reader.activate(s, name, "logistic")


def _route(reader: _Reader, s: Section) -> None:
    name = reader.name("route")
    sources = [reader.layer(i, s) for i in s.listed("layers")]
    groups, part = s.integer("groups", 1), s.integer("group_id", 0)
    if groups > 1:
        sources = [
            reader.chain.add(Split(groups, part), name if len(sources) == 1 else f"{name}.{i}", [source])
            for i, source in enumerate(sources)
        ]
        if len(sources) == 1:
            return
    reader.chain.add(Identity() if len(sources) == 1 else Concat(), name, sources)


def _shortcut(reader: _Reader, s: Section) -> None:
    """The sum with earlier layers. Where the channels differ, darknet adds the first ones only; where the sizes
    differ, it samples, which is not understood here."""
    name, chain = reader.name("shortcut"), reader.chain
    if s.options.get("weights_type", "none") != "none":
        raise RfcalcError("weighted shortcuts are not understood", where=s.where)
    here = chain.at
    others = [reader.layer(i, s) for i in s.listed("from")]
    mine = chain.shape_of(here)
    if any(chain.shape_of(o).spatial != mine.spatial for o in others):
        raise RfcalcError("a shortcut between maps of different sizes is not understood", where=s.where)
    if any(chain.shape_of(o).channels != mine.channels for o in others):
        if len(others) > 1:
            raise RfcalcError("a shortcut of several maps with different channels is not understood", where=s.where)
        _partly(reader, name, here, others[0])
    else:
        chain.add(Add(), name, [here, *others])
    reader.activate(s, name, "linear")


def _partly(reader: _Reader, name: str, here: str, other: str) -> None:
    """Of maps with different channels the first ones are added; the rest of the larger current map passes."""
    chain = reader.chain
    mine, theirs = chain.shape_of(here).channels, chain.shape_of(other).channels
    chain.note(f"{name}: {mine} and {theirs} channels: the first {min(mine, theirs)} are added, as darknet does")
    if mine < theirs:
        part = chain.add(Slice(0, None, mine), f"{name}.first", [other])
        chain.add(Add(), name, [here, part])
        return
    low = chain.add(Slice(0, None, theirs), f"{name}.first", [here])
    total = chain.add(Add(), f"{name}.add", [low, other])
    rest = chain.add(Slice(0, theirs), f"{name}.rest", [here])
    chain.add(Concat(), name, [total, rest])


def _gate(reader: _Reader, s: Section) -> None:
    """The current map (one value a channel, or a map) times an earlier one."""
    name = reader.name(s.kind)
    (index,) = s.listed("from")
    if s.integer("scale_wh", 0):
        raise RfcalcError("scale_wh is not understood", where=s.where)
    reader.chain.add(Multiply(), name, [reader.layer(index, s), reader.chain.at])
    reader.activate(s, name, "linear")


def _upsample(reader: _Reader, s: Section) -> None:
    stride = s.integer("stride", 2)
    if stride < 0:
        raise RfcalcError("upsampling by a negative stride is not understood", where=s.where)
    reader.chain.add(Upsample(stride), reader.name("upsample"))


def _reorg(reader: _Reader, s: Section) -> None:
    """[reorg3d] moves s × s positions into channels. [reorg] means to, but runs through the memory as if the map had
    c/s² channels of s times the size: what comes out is a re-arrangement of that, and so it is written here."""
    stride, name, chain = s.integer("stride", 1), reader.name(s.kind), reader.chain
    c, h, w = chain.shape.dims if len(chain.shape.dims) == 3 else (0, 0, 0)
    if s.integer("reverse", 0) or s.integer("flatten", 0) or s.integer("extra", 0):
        if s.kind == "reorg3d" and s.integer("reverse", 0):
            chain.add(PixelShuffle(stride), name)
            return
        raise RfcalcError("reverse, flatten and extra are not understood", where=s.where)
    if s.kind == "reorg3d" or stride == 1:
        chain.add(PixelUnshuffle(stride), name)
        return
    if stride < 1 or c % stride**2 or h % stride or w % stride:
        raise RfcalcError(f"{chain.shape} cannot be re-arranged with stride {stride}", where=s.where)
    chain.note(f"{name}: [reorg] is written as darknet computes it, which mixes distant positions; [reorg3d] does not")
    chain.add(Reshape((c // stride**2, h * stride, w * stride)), f"{name}.reshape")
    chain.add(PixelUnshuffle(stride), f"{name}.unshuffle")
    chain.add(Reshape((c * stride**2, h // stride, w // stride)), name)


def _output(reader: _Reader, s: Section) -> None:
    """A detection head: it reads what stands before and decodes it, value by value."""
    made = reader.chain.add(Elementwise(s.kind), reader.name(s.kind))
    reader.chain.outputs.append(made)


def _passing(reader: _Reader, s: Section) -> None:
    """A loss, or nothing."""
    reader.chain.add(Identity(), reader.name(s.kind))


def _crop(reader: _Reader, s: Section) -> None:
    """A crop of the middle, as at inference."""
    x = reader.chain.shape
    height, width = s.integer("crop_height", 1), s.integer("crop_width", 1)
    sides = []
    for n, m in zip(x.spatial, (height, width), strict=True):
        before = (n - m) // 2
        sides.append((-before, -(n - m - before)))
    reader.chain.note("[crop] takes the middle of the input, as at inference; in training it is random")
    reader.chain.add(Pad(tuple(sides)), reader.name("crop"))


def _activation(reader: _Reader, s: Section) -> None:
    told = s.options.get("activation", "linear")
    if told == "linear":
        reader.chain.add(Identity(), reader.name("activation"))
        return
    reader.activate(s, reader.name("activation"), told)


def _named(reader: _Reader, layer: Any, kind: str) -> None:
    reader.chain.add(layer, reader.name(kind))


def _dropout(reader: _Reader, s: Section) -> None:
    told = s.options.get("probability", "0.2")
    try:
        rate = float(told)
    except ValueError:
        raise RfcalcError(f"probability is {shown(told)}, not a number", where=s.where) from None
    reader.chain.add(Dropout(rate), reader.name("dropout"))


SECTIONS: dict[str, Callable[[_Reader, Section], None]] = {
    "convolutional": _conv,
    "maxpool": _pool,
    "local_avgpool": _pool,
    "avgpool": _avgpool,
    "connected": _connected,
    "route": _route,
    "shortcut": _shortcut,
    "scale_channels": _gate,
    "sam": _gate,
    "upsample": _upsample,
    "reorg": _reorg,
    "reorg3d": _reorg,
    "dropout": _dropout,
    "normalization": lambda reader, s: _named(reader, LRN(s.integer("size", 5)), "normalization"),
    "batchnorm": lambda reader, s: _named(reader, BatchNorm(), "batchnorm"),
    "softmax": lambda reader, s: _named(reader, Softmax(), "softmax"),
    "activation": _activation,
    "crop": _crop,
    "cost": _passing,
    "empty": _passing,
    "yolo": _output,
    "gaussian_yolo": _output,
    "region": _output,
    "detection": _output,
}
