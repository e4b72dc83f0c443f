"""What reading a module may not change: all that it holds, and the state of the process."""

from __future__ import annotations

import builtins
import gc
import logging
import os
import random
import sys
import warnings
from collections import deque
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PATCHABLE = (torch, torch.nn.functional, torch.nn.init, torch.Tensor, torch.nn.Module, builtins)
NAMES = [(owner, tuple(vars(owner))) for owner in PATCHABLE]
GLOBAL_HOOKS = [v for k, v in vars(nn.modules.module).items() if k.startswith("_global_") and isinstance(v, dict)]
_OPAQUE = (type, FunctionType, ModuleType, str, bytes, int, float, complex, type(None), torch.dtype, torch.device)


def held(module: nn.Module) -> Any:
    """All that a module holds: which objects, their classes, and what is in them; of tensors also the values."""
    seen: set[int] = set()

    def told(value: Any) -> Any:
        if isinstance(value, Tensor):
            gradient = None if value.grad is None else value.grad.tolist()
            about = (id(value), value.shape, value.dtype, value.device, value.requires_grad, value._version, gradient)
            if value.is_meta or value.layout != torch.strided:
                return about
            return (*about, value.data_ptr(), hash(value.detach().cpu().contiguous().view(-1).numpy().tobytes()))
        if isinstance(value, _OPAQUE):
            return value
        if id(value) in seen:
            return id(value)
        seen.add(id(value))
        found: list[Any] = [id(value), type(value)]
        if isinstance(value, dict):
            found += [(k, told(v)) for k, v in dict.items(value)]
        elif isinstance(value, (list, tuple, deque)):
            found += [told(v) for v in value]
        elif isinstance(value, set):
            found.append(set(value))
        own = getattr(value, "__dict__", None)
        if type(own) is dict:
            found += [(k, told(v)) for k, v in own.items()]
        return found

    return told(module)


def process() -> dict[str, Any]:
    """The state of the process, by name."""
    return {
        "random numbers of torch": torch.get_rng_state().tolist(),
        "of Python": random.getstate(),
        "of numpy": str(np.random.get_state()),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "autocast": [(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in ("cpu", "cuda")],
        "cudnn": [torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.enabled],
        "threads": torch.get_num_threads(),
        "hooks for all modules": [list(hooks) for hooks in GLOBAL_HOOKS],
        "modes": len(torch.overrides._get_current_function_mode_stack()),
        "printing": [str(vars(torch._tensor_str.PRINT_OPTS)), str(np.get_printoptions()), str(np.geterr())],
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers)),
        "arguments": (id(sys.argv), list(sys.argv)),
        "path": list(sys.path),
        "streams": (sys.stdout, sys.stderr, sys.excepthook),
        "interpreter": (sys.getrecursionlimit(), gc.isenabled()),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "functions of torch": [[id(vars(owner)[n]) for n in names if n in vars(owner)] for owner, names in NAMES],
    }


def everything(module: nn.Module) -> dict[str, Any]:
    """The module and the process."""
    return {"module": held(module), **process()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after[name]]
