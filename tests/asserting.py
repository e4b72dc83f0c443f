"""A forward that checks the values of its input; in a file whose assertions pytest does not rewrite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def checked(m: Any, x: Tensor) -> Tensor:
    assert (x == x).all(), "not a number"
    if torch.isnan(x).any():
        raise ValueError("not a number")
    torch._assert((x < 9).all(), "too large")  # type: ignore[no-untyped-call]
    assert torch.allclose(x, x)
    return m.c(x)  # type: ignore[no-any-return]
