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
        "unpool": ("MaxUnpool",),
        "dense": ("Linear", "RBF"),
        "recurrent": ("Recurrent",),
        "gather": ("Gather",),
        "index_sum": ("IndexSum",),
        "along": ("Along",),
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
        "reshape": ("Flatten", "Reshape", "Permute", "WindowPartition"),
        "learned": ("ClassToken", "PositionTable", "Parameter"),
        "slice": ("Slice", "Split", "ChannelShuffle", "Roll"),
        "resample": ("Pad", "Upsample", "PixelShuffle", "PixelUnshuffle"),
        "attention": ("SelfAttention", "WindowAttention"),
        "general": ("Elementwise", "Reduce", "Constant", "AttentionProduct"),
        "unknown": ("Unknown",),
    }.items()
    for name in names
}


WORDS: dict[str, str] = {  # word of the notation → module; a test compares it with the words that the kinds declare
    word: module
    for module, words in {
        "conv": "conv dwconv",
        "transpose": "convT deconv upconv",
        "pool": "maxpool pool avgpool meanpool lppool adaptiveavgpool adaptivemaxpool globalavgpool globalmaxpool "
        "mean ",
        "unpool": "maxunpool unpool",
        "dense": "fc linear rbf",
        "recurrent": "lstm gru rnn",
        "gather": "gather",
        "index_sum": "indexsum",
        "along": "along",
        "pointwise": "relu relu6 leaky_relu elu selu celu hardtanh sigmoid tanh gelu gelu_tanh silu mish softplus "
        "hardsigmoid hardswish swish leakyrelu hswish hsigmoid prelu softmax logsoftmax soft-max glu "
        "dropout droppath scale identity skip ",
        "norm": "bn batchnorm ln layernorm gn groupnorm in instancenorm rmsnorm lrn",
        "merge": "add multiply concat matmul",
        "reshape": "flatten reshape permute windows",
        "learned": "classtoken positions parameter",
        "slice": "slice split shuffle channelshuffle roll",
        "resample": "pad up upsample resize pixelshuffle pixelunshuffle spacetodepth",
        "attention": "attention winattention",
        "general": "elementwise reduce constant attentionproduct sdpa",
        "unknown": "unknown",
    }.items()
    for word in words.split()
}


def load() -> None:
    """Load every kind."""
    for module in dict.fromkeys(WHERE.values()):
        import_module(f"rfcalc.layers.{module}")
