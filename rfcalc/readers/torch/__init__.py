"""How a module is read: `recording` runs it, `graph` and `translate` make layers of its steps, `naming` names them.

One file a family of operators; each function registers itself for the ATen names that it understands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import require_installed

if TYPE_CHECKING:
    from rfcalc.readers.torch.importer import from_torch as from_torch


def __getattr__(name: str) -> Any:
    """Load `from_torch` when it is asked for.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    if name != "from_torch":
        raise AttributeError(f"module 'rfcalc.readers.torch' has no attribute {name!r}")
    require_installed("torch")
    from rfcalc.readers.torch.importer import from_torch

    return from_torch
