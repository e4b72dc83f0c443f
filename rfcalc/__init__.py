"""rfcalc: receptive fields, parameters, memory and operations of convolutional networks, exactly.

>>> import rfcalc
>>> report = rfcalc.analyze("vgg16")
>>> report["pool5"].receptive_field.size
(212, 212)
>>> report.totals.params
138357544

Every public name is loaded when it is asked for, so that `import rfcalc` imports almost nothing. A name stands twice in
this file: in `HOMES` (or, for a layer kind, in `rfcalc.layers.WHERE`), which says where it lives, and among the imports
below, for type checkers. A test compares the two, and says which line is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rfcalc.backend.build import to_torch as to_torch
    from rfcalc.backend.passes import in_passes as in_passes
    from rfcalc.backend.stream import to_stream as to_stream
    from rfcalc.backend.verify import verify as verify
    from rfcalc.claims.checking import check as check
    from rfcalc.comparison.comparison import compare as compare
    from rfcalc.comparison.equivalents import equivalents as equivalents
    from rfcalc.comparison.likes import variants as variants
    from rfcalc.core.errors import RfcalcError as RfcalcError
    from rfcalc.core.expr import Expr as Expr
    from rfcalc.core.expr import parallel as parallel
    from rfcalc.core.expr import ref as ref
    from rfcalc.core.expr import repeat as repeat
    from rfcalc.core.expr import series as series
    from rfcalc.core.expr import side as side
    from rfcalc.core.index import Var as Var
    from rfcalc.core.shape import Shape as Shape
    from rfcalc.derivation.deriving import explain as explain
    from rfcalc.derivation.symbolic import symbolic as symbolic
    from rfcalc.graph.network import Network as Network
    from rfcalc.graph.network import Node as Node
    from rfcalc.layers.along import Along as Along
    from rfcalc.layers.attention import SelfAttention as SelfAttention
    from rfcalc.layers.attention import WindowAttention as WindowAttention
    from rfcalc.layers.conv import Conv as Conv
    from rfcalc.layers.conv import Depthwise as Depthwise
    from rfcalc.layers.dense import RBF as RBF
    from rfcalc.layers.dense import Linear as Linear
    from rfcalc.layers.gather import Gather as Gather
    from rfcalc.layers.general import AttentionProduct as AttentionProduct
    from rfcalc.layers.general import Constant as Constant
    from rfcalc.layers.general import Elementwise as Elementwise
    from rfcalc.layers.general import Reduce as Reduce
    from rfcalc.layers.index_sum import IndexSum as IndexSum
    from rfcalc.layers.learned import ClassToken as ClassToken
    from rfcalc.layers.learned import Parameter as Parameter
    from rfcalc.layers.learned import PositionTable as PositionTable
    from rfcalc.layers.merge import Add as Add
    from rfcalc.layers.merge import Concat as Concat
    from rfcalc.layers.merge import MatMul as MatMul
    from rfcalc.layers.merge import Multiply as Multiply
    from rfcalc.layers.norm import LRN as LRN
    from rfcalc.layers.norm import BatchNorm as BatchNorm
    from rfcalc.layers.norm import GroupNorm as GroupNorm
    from rfcalc.layers.norm import InstanceNorm as InstanceNorm
    from rfcalc.layers.norm import LayerNorm as LayerNorm
    from rfcalc.layers.norm import RMSNorm as RMSNorm
    from rfcalc.layers.pointwise import GLU as GLU
    from rfcalc.layers.pointwise import Activation as Activation
    from rfcalc.layers.pointwise import Dropout as Dropout
    from rfcalc.layers.pointwise import Identity as Identity
    from rfcalc.layers.pointwise import PReLU as PReLU
    from rfcalc.layers.pointwise import ReLU as ReLU
    from rfcalc.layers.pointwise import Scale as Scale
    from rfcalc.layers.pointwise import Softmax as Softmax
    from rfcalc.layers.pointwise import StochasticDepth as StochasticDepth
    from rfcalc.layers.pool import AdaptivePool as AdaptivePool
    from rfcalc.layers.pool import AvgPool as AvgPool
    from rfcalc.layers.pool import GlobalPool as GlobalPool
    from rfcalc.layers.pool import LpPool as LpPool
    from rfcalc.layers.pool import MaxPool as MaxPool
    from rfcalc.layers.pool import Mean as Mean
    from rfcalc.layers.recurrent import Recurrent as Recurrent
    from rfcalc.layers.resample import Pad as Pad
    from rfcalc.layers.resample import PixelShuffle as PixelShuffle
    from rfcalc.layers.resample import PixelUnshuffle as PixelUnshuffle
    from rfcalc.layers.resample import Upsample as Upsample
    from rfcalc.layers.reshape import Flatten as Flatten
    from rfcalc.layers.reshape import Permute as Permute
    from rfcalc.layers.reshape import Reshape as Reshape
    from rfcalc.layers.reshape import WindowPartition as WindowPartition
    from rfcalc.layers.slice import ChannelShuffle as ChannelShuffle
    from rfcalc.layers.slice import Roll as Roll
    from rfcalc.layers.slice import Slice as Slice
    from rfcalc.layers.slice import Split as Split
    from rfcalc.layers.transpose import ConvTranspose as ConvTranspose
    from rfcalc.layers.unknown import Unknown as Unknown
    from rfcalc.layers.unpool import MaxUnpool as MaxUnpool
    from rfcalc.readers.drawing import draw as draw
    from rfcalc.readers.keras import from_keras as from_keras
    from rfcalc.readers.onnx.loading import from_onnx as from_onnx
    from rfcalc.readers.planning import design as design
    from rfcalc.readers.planning import grid as grid
    from rfcalc.readers.planning import lint as lint
    from rfcalc.readers.planning import memory as memory
    from rfcalc.readers.planning import sizes as sizes
    from rfcalc.readers.planning import tile as tile
    from rfcalc.readers.streaming import stream as stream
    from rfcalc.readers.target import analyze as analyze
    from rfcalc.readers.target import load as load
    from rfcalc.readers.target import receptive_field as receptive_field
    from rfcalc.readers.text import from_text as from_text
    from rfcalc.readers.torch.importer import from_torch as from_torch
    from rfcalc.receptive.receptive_field import ReceptiveField as ReceptiveField
    from rfcalc.receptive.receptive_field import Status as Status
    from rfcalc.report import Report as Report
    from rfcalc.report.constraints import require as require
    from rfcalc.report.field_report import FieldReport as FieldReport
    from rfcalc.teaching.exercises.bank import exercises as exercises
    from rfcalc.zoo import networks as networks
else:
    HOMES = {  # public name → module
        "analyze": "readers.target",
        "check": "claims.checking",
        "compare": "comparison.comparison",
        "equivalents": "comparison.equivalents",
        "exercises": "teaching.exercises.bank",
        "explain": "derivation.deriving",
        "from_keras": "readers.keras",
        "from_onnx": "readers.onnx.loading",
        "from_text": "readers.text",
        "from_torch": "readers.torch.importer",
        "in_passes": "backend.passes",
        "load": "readers.target",
        "design": "readers.planning",
        "variants": "comparison.likes",
        "draw": "readers.drawing",
        "lint": "readers.planning",
        "memory": "readers.planning",
        "networks": "zoo",
        "parallel": "core.expr",
        "receptive_field": "readers.target",
        "ref": "core.expr",
        "repeat": "core.expr",
        "require": "report.constraints",
        "series": "core.expr",
        "side": "core.expr",
        "sizes": "readers.planning",
        "grid": "readers.planning",
        "stream": "readers.streaming",
        "symbolic": "derivation.symbolic",
        "tile": "readers.planning",
        "to_stream": "backend.stream",
        "to_torch": "backend.build",
        "verify": "backend.verify",
        "Expr": "core.expr",
        "FieldReport": "report.field_report",
        "Network": "graph.network",
        "Node": "graph.network",
        "ReceptiveField": "receptive.receptive_field",
        "Report": "report",
        "RfcalcError": "core.errors",
        "Shape": "core.shape",
        "Status": "receptive.receptive_field",
        "Var": "core.index",
    }
    NEEDS = {
        "from_torch": "torch",
        "in_passes": "torch",
        "symbolic": "sympy",
        "to_stream": "torch",
        "to_torch": "torch",
        "verify": "torch",
    }  # public name → the package that its module imports

    def __getattr__(name):
        """Load what is asked for. What needs an optional package is a function that loads it when it is called."""
        from importlib import import_module

        if name == "__all__":
            return __dir__()
        home = HOMES.get(name)
        if home is None and not name.startswith("_"):
            where = import_module("rfcalc.layers").WHERE
            home = f"layers.{where[name]}" if name in where else None
        if home is None:
            raise AttributeError(f"module 'rfcalc' has no attribute {name!r}")
        if name in NEEDS:
            from rfcalc.core.later import Later

            value = Later(f"rfcalc.{home}", name, NEEDS[name])
        else:
            value = getattr(import_module(f"rfcalc.{home}"), name)
        globals()[name] = value
        return value

    def __dir__():
        from rfcalc.layers import WHERE

        return sorted([*HOMES, *WHERE, "__version__"])
