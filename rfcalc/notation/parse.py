"""Reads chains in the papers' notation.

::

    chain   = segment { ">" segment }
    segment = layer { layer } [ "x" count ]                 the count repeats the segment
    layer   = word { option }                               conv3-64/2 p1 d2, maxpool3/2 ceil, fc4096, relu
    word    = name [ size ] [ "-" channels ] [ "/" stride ]

The kinds read their own words (`Layer.from_word`); this file knows no kind. Errors show the text with a caret.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import NamedTuple

from rfcalc.errors import NotationError, RfcalcError, suggestion
from rfcalc.expr import MOST_NODES, Expr, repeat, series
from rfcalc.layer import Layer
from rfcalc.words import Word

LONGEST = 1_000_000

# Word → class, and the module that holds it (see rfcalc.kinds.WHERE).
WORDS: dict[str, str] = {
    "conv": "Conv",
    "dwconv": "Depthwise",
    "convT": "ConvTranspose",
    "deconv": "ConvTranspose",
    "maxpool": "MaxPool",
    "pool": "MaxPool",
    "avgpool": "AvgPool",
    "lppool": "LpPool",
    "globalavgpool": "AdaptivePool",
    "globalmaxpool": "AdaptivePool",
    "adaptiveavgpool": "AdaptivePool",
    "adaptivemaxpool": "AdaptivePool",
    "fc": "Linear",
    "linear": "Linear",
    "rbf": "RBF",
    "prelu": "PReLU",
    "softmax": "Softmax",
    "logsoftmax": "Softmax",
    "glu": "GLU",
    "dropout": "Dropout",
    "droppath": "StochasticDepth",
    "scale": "Scale",
    "identity": "Identity",
    "bn": "BatchNorm",
    "ln": "LayerNorm",
    "gn": "GroupNorm",
    "in": "InstanceNorm",
    "rmsnorm": "RMSNorm",
    "lrn": "LRN",
    "flatten": "Flatten",
    "shuffle": "ChannelShuffle",
    "up": "Upsample",
    "resize": "Upsample",
    "pad": "Pad",
    "pixelshuffle": "PixelShuffle",
    "pixelunshuffle": "PixelUnshuffle",
    "attention": "SelfAttention",
    "positions": "PositionTable",
    "classtoken": "ClassToken",
}
ACTIVATION_WORDS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "hardtanh", "sigmoid", "tanh", "gelu", "gelu_tanh"),
    *("silu", "swish", "mish", "softplus", "hardsigmoid", "hardswish"),
)
_WORD = re.compile(r"([A-Za-z_]+)(\d+(?:x\d+)*)?(?:-(\d+))?(?:/(\d+(?:x\d+)*))?$")
_FLAGS = (
    *("same", "SAME", "valid", "nobias", "ceil", "ceil-onnx", "reflect", "replicate", "circular", "trainable"),
    *("nopadcount", "noaffine", "notrack", "linear", "cubic", "nearest", "nearest-exact", "corners", "single"),
)
_OPTION = re.compile(
    rf"(?:({'|'.join(map(re.escape, sorted(_FLAGS, key=len, reverse=True)))})$"
    r"|(p)(\d+(?::\d+)?(?:[x,]\d+(?::\d+)?)*)$|(op|power|rate|by|win|shift|d|g|m|s)(-?[\d.:x,-]+)$)"
)
_COUNT = re.compile(r"[x×](\d+)$")


class Reading(NamedTuple):
    """What a text says, and which defaults that took."""

    expr: Expr
    assumptions: tuple[str, ...]


def parse(text: str) -> Reading:
    """Read a chain.

    Raises:
        NotationError: with the line, a caret, what was expected, and a suggestion.

    >>> parse("conv3-64 relu x2 > maxpool2").expr
    (Conv(64, 3, padding=1) >> Activation('relu')) * 2 >> MaxPool(2)
    """
    if len(text) > LONGEST:
        raise NotationError(f"a text of {len(text):,} characters is too long", why=f"the limit is {LONGEST:,}")
    items: list[Expr] = []
    assumed: dict[str, None] = {}
    start = 0
    for part in text.split(">"):
        items.append(_segment(text, part, start, assumed))
        start += len(part) + 1
    return Reading(items[0] if len(items) == 1 else series(items), tuple(assumed))


def _error(text: str, at: int, length: int, what: str, fix: str | None = None) -> NotationError:
    line_start = text.rfind("\n", 0, at) + 1
    line_end = text.find("\n", at)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    column = at - line_start
    left = max(0, column - 50)
    shown = line[left : left + 76]
    number = text.count("\n", 0, at) + 1
    return NotationError(
        what,
        where=f"line {number}, column {column + 1}",
        why=f"{shown}\n{' ' * (column - left)}{'^' * max(1, length)}",
        fix=fix,
    )


def _segment(text: str, part: str, start: int, assumed: dict[str, None]) -> Expr:
    tokens = [(m[0], start + m.start()) for m in re.finditer(r"\S+", part)]
    if not tokens:
        raise _error(
            text, min(start, max(len(text) - 1, 0)), 1, "a layer was expected here", "write one, like conv3-64"
        )
    count: int | None = None
    end = _COUNT.match(tokens[-1][0])
    if end:
        count = int(end[1])
        if len(tokens) == 1:
            raise _error(text, tokens[0][1], len(tokens[0][0]), "there is nothing to repeat before this")
        if not 1 <= count <= MOST_NODES:
            what = f"{count:,} repetitions are too many" if count else "nothing can be repeated 0 times"
            raise _error(text, tokens[-1][1], len(tokens[-1][0]), what, f"the limit is {MOST_NODES:,}")
        tokens.pop()
    layers: list[Layer] = []
    while tokens:
        (token, at), *tokens = tokens
        options: dict[str, str] = {}
        places: dict[str, tuple[int, int]] = {}
        while tokens and (option := _OPTION.match(tokens[0][0])) and tokens[0][0] not in WORDS:
            name = option[1] or option[2] or ("/" if option[4] == "s" else option[4])
            options[name] = "" if option[1] else option[3] or option[5]
            places[name] = (tokens[0][1], len(tokens[0][0]))
            tokens = tokens[1:]
        layers.append(_layer(text, token, at, options, places, assumed))
    expr: Expr = layers[0] if len(layers) == 1 else series(layers)
    try:
        return expr if count is None else repeat(expr, count)
    except RfcalcError as error:
        raise _error(text, start, max(1, len(part)), error.what, error.why) from None


def _layer(
    text: str,
    token: str,
    at: int,
    options: dict[str, str],
    places: dict[str, tuple[int, int]],
    assumed: dict[str, None],
) -> Layer:
    match = _WORD.match(token)
    name = match[1] if match else token
    whole = token.lower()
    kind = WORDS.get(name)
    if match and (name in ACTIVATION_WORDS or whole in ACTIVATION_WORDS):
        kind = "Activation"
    if match is None or kind is None:
        near = suggestion(name, [*WORDS, *ACTIVATION_WORDS], most=0)
        raise _error(
            text,
            at,
            len(token),
            f"{token!r} is not a layer",
            near or "write a layer like conv3-64, maxpool2, relu or fc4096",
        )
    size = tuple(map(int, match[2].split("x"))) if match[2] else None
    if match[4] is not None:
        options = {"/": match[4], **options}
    word = Word(token, name, size, int(match[3]) if match[3] else None, options)
    where = import_module("rfcalc.kinds").WHERE
    cls = getattr(import_module(f"rfcalc.kinds.{where[kind]}"), kind)
    try:
        layer: Layer = cls.from_word(word)
    except (RfcalcError, ValueError) as error:
        told = error if isinstance(error, RfcalcError) else NotationError(str(error))
        raise _error(text, at, len(token), told.what, told.fix or told.why) from None
    unused = word.unused()
    if unused:
        place, length = places.get(unused[0], (at, len(token)))
        raise _error(text, place, length, f"{name} does not take this option")
    if word.defaults:
        assumed[f"{name}: {', '.join(word.defaults)}"] = None
    return layer
