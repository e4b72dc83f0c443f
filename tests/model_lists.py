"""Which models written by others are read: torchvision's, and timm's over its families."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from torch import nn
from vision import models


def torchvision_names() -> list[str]:
    """All classification and segmentation models."""
    vision: Any = models()
    found = vision.list_models(module=vision) + vision.list_models(module=vision.segmentation)
    return sorted(found)


def torchvision_model(name: str) -> tuple[Callable[[], nn.Module], tuple[int, ...]]:
    """How to build it (not yet built), and its input."""
    vision: Any = models()
    options: dict[str, Any] = {}
    if name in vision.list_models(module=vision.segmentation):
        options = {"weights_backbone": None}
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False}
    side = 299 if name == "inception_v3" else 224
    return lambda: vision.get_model(name, **options), (3, side, side)


def timm_families() -> dict[str, list[str]]:
    """Models by the file of timm that defines them."""
    models()  # timm imports torchvision
    import timm
    from timm.models import model_entrypoint

    found: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        found[model_entrypoint(name).__module__.rpartition(".")[2]].append(name)
    return {family: sorted(names) for family, names in sorted(found.items())}


def timm_sample(each: int) -> list[str]:
    """Up to `each` models of every family, spread over its names; a family's first, then its next, …"""
    columns = []
    for names in timm_families().values():
        count = min(each, len(names))
        columns.append([names[len(names) * i // count] for i in range(count)])
    return [column[i] for i in range(each) for column in columns if i < len(column)]


def timm_model(name: str) -> tuple[Callable[[], nn.Module], tuple[int, ...]]:
    """How to build it, and its input."""
    models()
    import timm

    size = timm.get_pretrained_cfg_value(name, "input_size") or (3, 224, 224)
    return lambda: timm.create_model(name), tuple(size)
