"""Reads networks that were pasted as text, each format in a file of its own. Nothing in a text is run.

``nn.Sequential(…)`` source, ``print(model)``, torchvision's configuration lists, Darknet's `.cfg`, the strings of the
fomoro receptive field calculator, timm's block strings; what is none of these is read as notation. Each says what it
assumed.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from rfcalc.core.errors import NotationError, RfcalcError
from rfcalc.readers.imported import Imported, imported

FORMATS = {  # name → module, in the order in which they are tried; each has looks(text) and read(text, inputs)
    "Darknet configuration": "darknet",
    "fomoro string": "windows",
    "timm block strings": "timm",
    "torchvision list": "letters",
    "printed PyTorch model": "printed",
    "nn.Sequential source": "source",
}
LARGEST = 5_000_000  # bytes
STDIN = "-"
KNOWN = "nn.Sequential(…), print(model), [64, 'M', …], Darknet's [net] …, 7,2,1,SAME;…, ir_r2_k3_s2_e6_c24, or notation"


def from_text(text: str, inputs: Any = None) -> Imported:
    """The network that a text describes, with what was assumed to read it.

    Args:
        text: in one of the formats above.
        inputs: its input shape, channels first and without the batch; the text's own, or a usual one that is noted.

    Raises:
        RfcalcError: it is in no known format, or wrong; with the line.

    >>> found = from_text("nn.Sequential(nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(3, 2))")
    >>> [node.layer.notation() for node in found.network.nodes], found.notes
    (['conv7-64/2', 'relu', 'maxpool3/2'], ('the input is 3x224x224: none was given',))
    """
    if not isinstance(text, str):
        raise RfcalcError(f"{type(text).__name__} is not a text")
    if len(text) > LARGEST:
        raise RfcalcError("the text is too large", why=f"the limit is {LARGEST:,} characters")
    form = format_of(text)
    if form is None:
        return _notation(text, inputs)
    try:
        found: Imported = import_module(f"{__name__}.{FORMATS[form]}").read(text.lstrip("\ufeff"), inputs)
    except RecursionError:
        raise RfcalcError("the text is nested too deeply", where=form) from None
    except RfcalcError as error:
        error.asked = (text, inputs)
        raise error.at(form) from None
    return found


def format_of(text: str) -> str | None:
    """Which format a text is in, by its look; None for none of them.

    >>> format_of("3,1,1,SAME;2,2,1,SAME"), format_of("conv3-64 > maxpool2")
    ('fomoro string', None)
    """
    start = text[:20_000].lstrip("\ufeff")
    if not start.strip():
        return None
    for name, module in FORMATS.items():
        if import_module(f"{__name__}.{module}").looks(start):
            return name
    return None


def load(path: str, inputs: Any = None) -> Imported:
    """The network of a text file, or of standard input for ``-``."""
    try:
        if path == STDIN:
            raw = _all_of(sys.stdin)
        else:
            with Path(path).open("rb") as file:
                raw = file.read(LARGEST + 1)
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror}", where=path) from None
    where = "standard input" if path == STDIN else path
    if len(raw) > LARGEST:
        raise RfcalcError("the text is too large", where=where, why=f"the limit is {LARGEST:,} bytes")
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise RfcalcError("this is not a text in UTF-8 or UTF-16", where=where, why=f"byte {error.start}") from None
    try:
        return from_text(text, inputs)
    except RfcalcError as error:
        error.where = f"{where}: {error.where}" if error.where else where
        raise


@lru_cache(1)
def _all_of(stream: TextIO) -> bytes:
    """What standard input has; kept, because it comes once, and a text may be read again at other sizes."""
    return stream.buffer.read(LARGEST + 1)


def _notation(text: str, inputs: Any) -> Imported:
    """A text in none of the formats: the papers' notation, or nothing."""
    from rfcalc.graph.network import Network
    from rfcalc.notation import parse
    from rfcalc.readers.imported import input_shapes

    if not text.strip():
        raise RfcalcError("the text is empty", fix=f"paste {KNOWN}")
    try:
        reading = parse(text)
    except NotationError as error:
        if error.fix is None:
            error.fix = f"known are {KNOWN}"
        raise error.at("notation") from None
    network = reading.network()
    notes = list(reading.assumptions)
    shapes = {**network.inputs, **input_shapes(inputs, list(network.inputs))}
    if list(shapes.values()) == [None]:
        from rfcalc.core.shape import Shape

        shapes = dict.fromkeys(shapes, Shape(3, 224, 224))
        notes.insert(0, "the input is 3x224x224: none was given")
    about = {key: getattr(network, key) for key in ("outputs", "name", "title", "citation")}
    return imported(Network(network.expr, shapes, **about), notes=notes)
