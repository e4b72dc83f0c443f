"""PyTorch's twin of every layer kind: one function a kind, in files grouped as `rfcalc.layers` is."""

from __future__ import annotations

from importlib import import_module

FILES = (
    "conv",
    "pool",
    "unpool",
    "dense",
    "recurrent",
    "pointwise",
    "norm",
    "merge",
    "reshape",
    "resample",
    "attention",
    "general",
    "unknown",
)


def load() -> None:
    """Register all twins."""
    for name in FILES:
        import_module(f"rfcalc.backend.kinds.{name}")
