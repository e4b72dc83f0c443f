"""torchvision's configuration lists: ``[64, 'M', 128, 'M', …]``.

A number is a 3×3 convolution with padding 1 and that many maps, followed by ReLU; ``'M'`` a 2×2 max pool. ``'C'``,
which SSD's list has, is the pool in ceil mode. It is the part that torchvision calls `features`, without the head.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.conv import Conv
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.pool import MaxPool
from rfcalc.readers.configuration import integer, shown
from rfcalc.readers.imported import Imported
from rfcalc.readers.text.chain import SIDE, TextChain

_LOOKS = re.compile(r"(\w+\s*=\s*)?\[\s*\d+\s*(,|\])[\d\s,'\"MC]*\]?\s*;?$")


def looks(text: str) -> bool:
    """Whether a text is such a list."""
    stripped = text.strip()
    return _LOOKS.match(stripped) is not None and ("'" in stripped or '"' in stripped)


def read(text: str, given: Any) -> Imported:
    """The network of a list.

    >>> [node.name for node in read("[64, 'M', 128, 128, 'M']", None).network.nodes]
    ['conv1_1', 'relu1_1', 'pool1', 'conv2_1', 'relu2_1', 'conv2_2', 'relu2_2', 'pool2']
    """
    written = text.strip().rstrip(";").partition("=")[2] or text.strip().rstrip(";")
    try:
        listed = ast.literal_eval(written.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise RfcalcError("this is not a list", fix="write it like [64, 'M', 128, 'M']") from None
    chain = TextChain(given, (3, SIDE, SIDE))
    chain.note("numbers are 3x3 convolutions with padding 1 and a ReLU, 'M' 2x2 max pools; the head is not in the list")
    stage = step = 1
    for i, entry in enumerate(listed):
        if entry in ("M", "C"):
            if entry == "C":
                chain.note("'C' is a 2x2 max pool rounded up, as in SSD")
            chain.add(MaxPool(2, rounding="floor" if entry == "M" else "ceil"), f"pool{stage}")
            stage, step = stage + 1, 1
        elif isinstance(entry, int) and not isinstance(entry, bool):
            chain.add(Conv(integer(entry, f"entry {i}"), 3, padding=1), f"conv{stage}_{step}")
            chain.add(Activation("relu"), f"relu{stage}_{step}")
            step += 1
        else:
            raise RfcalcError(f"entry {i} is {shown(entry)}", fix="a number of maps, 'M' or 'C'")
    return chain.finish()
