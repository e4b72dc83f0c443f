"""PyTorch: any network as a module that runs (extra ``rfcalc[torch]``).

>>> from rfcalc import Conv, MaxPool, Network, ReLU, to_torch
>>> to_torch(Network(Conv(8, 3, padding=1) >> ReLU() >> MaxPool(2), "3x32x32"))
NetworkModule(
  (conv1): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (relu1): ReLU()
  (maxpool1): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import require_installed

if TYPE_CHECKING:
    from rfcalc.backend.build import to_torch as to_torch
    from rfcalc.backend.graph import NetworkModule as NetworkModule
    from rfcalc.backend.stream import to_stream as to_stream

HOMES = {
    "to_torch": "build",
    "counts": "build",
    "to_source": "source",
    "to_stream": "stream",
    "NetworkModule": "graph",
    "load_weights": "weights",
    "save_weights": "weights",
    "grow": "weights",
    "initialise": "initial",
    "dense": "whole_images",
    "dense_network": "whole_images",
    "flat": "whole_images",
    "scores": "whole_images",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for.

    Raises:
        MissingExtra: PyTorch is not installed.
    """
    from importlib import import_module

    home = HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rfcalc.backend' has no attribute {name!r}")
    require_installed("torch")
    return getattr(import_module(f"rfcalc.backend.{home}"), name)
