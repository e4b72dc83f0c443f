"""torchvision without its compiled operators, which its models do not need: installed beside any build of PyTorch."""

from __future__ import annotations

from typing import Any

import torch


def models() -> Any:
    """``torchvision.models``; the operators that it declares fake kernels for are declared first, without kernels."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)
    KEPT.append(library)
    import torchvision.models

    return torchvision.models


KEPT: list[Any] = []  # a library's definitions go when it goes
