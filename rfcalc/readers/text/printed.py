"""The network of a model as PyTorch prints it."""

from __future__ import annotations

from typing import Any

from rfcalc.readers.imported import Imported
from rfcalc.readers.text.blocks import IN_ORDER, Runner
from rfcalc.readers.text.chain import TextChain
from rfcalc.readers.text.modules import MODULES
from rfcalc.readers.text.order import default_input
from rfcalc.readers.text.trees import looks, parse

__all__ = ["looks", "read"]


def read(text: str, given: Any) -> Imported:
    """The network of a printed model."""
    root = parse(text)
    parts = []
    for leaf in root.leaves():
        if leaf.kind in MODULES:
            parts.append(leaf.made())
    chain = TextChain(given, default_input(parts))
    Runner(chain, root.kind not in IN_ORDER).run(root, "")
    return chain.finish(root.kind if root.kind != "Sequential" else "")
