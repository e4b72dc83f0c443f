"""Windows alone: the ``k,s,d,SAME;…`` strings of the fomoro receptive field calculator, or its whole address.

Each part is kernel, stride, dilation and TensorFlow's padding. Nothing is said about channels or weights, so every part
becomes a window without parameters, written as max pooling.
"""

from __future__ import annotations

import re
from typing import Any

from rfcalc.core.errors import LayerError, RfcalcError
from rfcalc.layers.pool import MaxPool
from rfcalc.readers.configuration import integer
from rfcalc.readers.imported import Imported
from rfcalc.readers.text.chain import SIDE, TextChain

_PART = re.compile(r"\s*(\d{1,12})\s*,\s*(\d{1,12})\s*,\s*(\d{1,12})\s*,\s*(SAME|VALID)\s*", re.IGNORECASE)
_LOOKS = re.compile(r"(https?://\S*#)?\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*(SAME|VALID)\s*(;|$)", re.IGNORECASE)


def looks(text: str) -> bool:
    """Whether a text is written like this."""
    return _LOOKS.match(text.strip()) is not None


def read(text: str, given: Any) -> Imported:
    """The network of windows.

    >>> from rfcalc import analyze
    >>> net = read("4,2,1,VALID;4,2,1,VALID;4,2,1,VALID;4,1,1,VALID;4,1,1,VALID", (1, 256, 256)).network
    >>> analyze(net)["window5"].receptive_field.size
    (70, 70)
    """
    parts = [p for p in text.strip().rpartition("#")[2].split(";") if p.strip()]
    TextChain.few(len(parts))
    chain = TextChain(given, (1, SIDE, SIDE))
    chain.note(
        "only windows are given: they are written as pools; channels, parameters and multiply-adds are not known"
    )
    for i, part in enumerate(parts, 1):
        where = f"part {i}"
        match = _PART.fullmatch(part)
        if match is None:
            raise RfcalcError(
                f"{part.strip()[:40]!r} is not a window", where=where, fix="write kernel,stride,dilation,SAME or VALID"
            )
        k, s, d = (integer(int(n), where) for n in match.groups()[:3])
        if min(k, s, d) < 1:
            raise LayerError(f"{part.strip()!r}: kernel, stride and dilation are at least 1", where=where)
        padding: Any = "SAME" if match[4].upper() == "SAME" else 0
        if padding and s == 1:
            total = d * (k - 1)  # at stride 1 TensorFlow's padding does not depend on the size
            padding = total // 2 if total % 2 == 0 else ((total // 2, total - total // 2),)
        chain.add(MaxPool(k, s, padding=padding, dilation=d), f"window{i}")
    return chain.finish()
