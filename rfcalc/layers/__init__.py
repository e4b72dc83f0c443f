"""The layer kinds, one class each, one file a family; a file is loaded when one of its kinds is asked for.

`WHERE` says which module holds a public name; a test checks that it names every registered kind.
"""

from __future__ import annotations

from importlib import import_module

WHERE: dict[str, str] = {
    name: module
    for module, names in {
        "conv": ("Conv", "Depthwise"),
        "transpose": ("ConvTranspose",),
        "pool": ("MaxPool", "AvgPool", "LpPool", "AdaptivePool", "GlobalPool", "Mean"),
        "dense": ("Linear", "RBF"),
        "recurrent": ("Recurrent",),
        "take": ("Take",),
        "pointwise": (
            "Activation",
            "ReLU",
            "PReLU",
            "Softmax",
            "GLU",
            "Dropout",
            "StochasticDepth",
            "Scale",
            "Identity",
        ),
        "norm": ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "LRN"),
        "merge": ("Add", "Multiply", "Concat", "MatMul"),
        "reshape": (
            "Flatten",
            "Reshape",
            "Permute",
            "ClassToken",
            "PositionTable",
            "Parameter",
            "Slice",
            "Split",
            "ChannelShuffle",
            "Roll",
            "WindowPartition",
        ),
        "resample": ("Pad", "Upsample", "PixelShuffle", "PixelUnshuffle"),
        "attention": ("SelfAttention", "WindowAttention"),
        "general": ("Elementwise", "Reduce", "Constant", "AttentionProduct"),
        "unknown": ("Unknown",),
    }.items()
    for name in names
}


def load() -> None:
    """Load every kind."""
    for module in dict.fromkeys(WHERE.values()):
        import_module(f"rfcalc.layers.{module}")
