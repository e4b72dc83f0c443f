"""Attention that drops some of its weights, which PyTorch computes step by step, by no kernel of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def attended(args: Mapping[str, Any]) -> torch.Tensor:
    """What `scaled_dot_product_attention` does with these arguments where it drops weights, operator by operator."""
    query, key, value, mask = args["query"], args["key"], args["value"], args["attn_mask"]
    scale = args["scale"] if args["scale"] is not None else query.shape[-1] ** -0.5
    half = abs(scale) ** 0.5
    if args["is_causal"]:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), float("-inf"))
    if args["enable_gqa"]:
        key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    scores = torch.matmul(query * (half if scale >= 0 else -half), key.transpose(-2, -1) * half)
    if mask is not None:
        scores = scores.add_(mask)
    return torch.matmul(torch.dropout(scores.softmax(-1), args["dropout_p"], True), value)
