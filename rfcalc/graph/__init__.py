"""Networks as graphs of layers; the forward walk, the memory of maps, and what PyTorch keeps for backward.

A walk makes very many small tuples that live on and are in no cycle. Python's collector of cyclic garbage looks through
all of them again and again as they become more: of 100,000 layers the walk of receptive fields takes three times as
long with it. That is why it is off while a walk runs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def uncollected(walk: Callable[P, R]) -> Callable[P, R]:
    """A function during which the collector is off; it is on again afterwards if it was on before.

    >>> import gc
    >>> uncollected(gc.isenabled)(), gc.isenabled()
    (False, True)
    """

    @wraps(walk)
    def run(*args: P.args, **options: P.kwargs) -> R:
        if not gc.isenabled():
            return walk(*args, **options)
        gc.disable()
        try:
            return walk(*args, **options)
        finally:
            gc.enable()

    return run
