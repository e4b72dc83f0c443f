"""rfcalc: receptive fields, parameters, memory and operations of convolutional networks, exactly.

>>> import rfcalc
>>> report = rfcalc.analyze("vgg16")
>>> report["pool5"].receptive_field.size
(212, 212)
>>> report.totals.params
138357544
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rfcalc.backends.keras import from_keras as from_keras
    from rfcalc.backends.onnx.loading import from_onnx as from_onnx
    from rfcalc.backends.text import from_text as from_text
    from rfcalc.backends.torch import to_torch as to_torch
    from rfcalc.backends.torch.importer import from_torch as from_torch
    from rfcalc.errors import RfcalcError as RfcalcError
    from rfcalc.expr import Expr as Expr
    from rfcalc.expr import parallel as parallel
    from rfcalc.expr import ref as ref
    from rfcalc.expr import repeat as repeat
    from rfcalc.expr import series as series
    from rfcalc.expr import side as side
    from rfcalc.index import Var as Var
    from rfcalc.kinds.attention import SelfAttention as SelfAttention
    from rfcalc.kinds.attention import WindowAttention as WindowAttention
    from rfcalc.kinds.conv import Conv as Conv
    from rfcalc.kinds.conv import Depthwise as Depthwise
    from rfcalc.kinds.dense import RBF as RBF
    from rfcalc.kinds.dense import Linear as Linear
    from rfcalc.kinds.general import AttentionProduct as AttentionProduct
    from rfcalc.kinds.general import Constant as Constant
    from rfcalc.kinds.general import Elementwise as Elementwise
    from rfcalc.kinds.general import Reduce as Reduce
    from rfcalc.kinds.merge import Add as Add
    from rfcalc.kinds.merge import Concat as Concat
    from rfcalc.kinds.merge import MatMul as MatMul
    from rfcalc.kinds.merge import Multiply as Multiply
    from rfcalc.kinds.norm import LRN as LRN
    from rfcalc.kinds.norm import BatchNorm as BatchNorm
    from rfcalc.kinds.norm import GroupNorm as GroupNorm
    from rfcalc.kinds.norm import InstanceNorm as InstanceNorm
    from rfcalc.kinds.norm import LayerNorm as LayerNorm
    from rfcalc.kinds.norm import RMSNorm as RMSNorm
    from rfcalc.kinds.pointwise import GLU as GLU
    from rfcalc.kinds.pointwise import Activation as Activation
    from rfcalc.kinds.pointwise import Dropout as Dropout
    from rfcalc.kinds.pointwise import Identity as Identity
    from rfcalc.kinds.pointwise import PReLU as PReLU
    from rfcalc.kinds.pointwise import ReLU as ReLU
    from rfcalc.kinds.pointwise import Scale as Scale
    from rfcalc.kinds.pointwise import Softmax as Softmax
    from rfcalc.kinds.pointwise import StochasticDepth as StochasticDepth
    from rfcalc.kinds.pool import AdaptivePool as AdaptivePool
    from rfcalc.kinds.pool import AvgPool as AvgPool
    from rfcalc.kinds.pool import GlobalPool as GlobalPool
    from rfcalc.kinds.pool import LpPool as LpPool
    from rfcalc.kinds.pool import MaxPool as MaxPool
    from rfcalc.kinds.pool import Mean as Mean
    from rfcalc.kinds.recurrent import Recurrent as Recurrent
    from rfcalc.kinds.resample import Pad as Pad
    from rfcalc.kinds.resample import PixelShuffle as PixelShuffle
    from rfcalc.kinds.resample import PixelUnshuffle as PixelUnshuffle
    from rfcalc.kinds.resample import Upsample as Upsample
    from rfcalc.kinds.reshape import ChannelShuffle as ChannelShuffle
    from rfcalc.kinds.reshape import ClassToken as ClassToken
    from rfcalc.kinds.reshape import Flatten as Flatten
    from rfcalc.kinds.reshape import Parameter as Parameter
    from rfcalc.kinds.reshape import Permute as Permute
    from rfcalc.kinds.reshape import PositionTable as PositionTable
    from rfcalc.kinds.reshape import Reshape as Reshape
    from rfcalc.kinds.reshape import Roll as Roll
    from rfcalc.kinds.reshape import Slice as Slice
    from rfcalc.kinds.reshape import Split as Split
    from rfcalc.kinds.reshape import WindowPartition as WindowPartition
    from rfcalc.kinds.take import Take as Take
    from rfcalc.kinds.transpose import ConvTranspose as ConvTranspose
    from rfcalc.kinds.unknown import Unknown as Unknown
    from rfcalc.metrics import require as require
    from rfcalc.network import Network as Network
    from rfcalc.network import Node as Node
    from rfcalc.report import Report as Report
    from rfcalc.shape import Shape as Shape
    from rfcalc.target import analyze as analyze
    from rfcalc.target import load as load
    from rfcalc.target import look as look

_HOMES = {
    "from_keras": "backends.keras",
    "from_text": "backends.text",
    "from_onnx": "backends.onnx",
    "from_torch": "backends.torch",
    "RfcalcError": "errors",
    "Expr": "expr",
    "parallel": "expr",
    "ref": "expr",
    "repeat": "expr",
    "series": "expr",
    "side": "expr",
    "Var": "index",
    "Network": "network",
    "Node": "network",
    "Report": "report",
    "Shape": "shape",
    "analyze": "target",
    "load": "target",
    "look": "target",
    "require": "metrics",
    "to_torch": "backends.torch",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, when it is asked for: `import rfcalc` itself imports almost nothing."""
    from importlib import import_module

    if name == "__all__":
        return __dir__()
    home = _HOMES.get(name)
    if home is None and not name.startswith("_"):
        where = import_module("rfcalc.kinds").WHERE
        home = f"kinds.{where[name]}" if name in where else None
    if home is None:
        raise AttributeError(f"module 'rfcalc' has no attribute {name!r}")
    value = getattr(import_module(f"rfcalc.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from rfcalc.kinds import WHERE

    return sorted([*_HOMES, *WHERE, "__version__"])
