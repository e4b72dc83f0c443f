"""What PyTorch does not have: modules and functions that twins use by name.

Each stands by itself on ``torch``, ``nn`` and ``F``: written networks carry the source of those that they use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rfcalc.backend.parts import attention, measure, modules, padding, pooling

NAMES: dict[str, Callable[..., Any]] = {
    name: value
    for module in (padding, pooling, modules, attention, measure)
    for name, value in vars(module).items()
    if getattr(value, "__module__", "") == module.__name__
}
