"""Whatever is pasted, or stands in a Keras configuration: a network or one clear error; no traceback, hang or flood."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcalc import RfcalcError, from_keras, from_text
from rfcalc.readers.keras.layers import LAYERS, OPERATIONS, _load

MANY = settings(max_examples=250, deadline=None)
SLOWEST = 5.0
TEXTS = [
    "[net]\nwidth=16\nheight=16\nchannels=3\n[convolutional]\nfilters=8\nsize=3\nstride=1\npad=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n[shortcut]\nfrom=-2\n[route]\nlayers=-1,-3\n[upsample]\nstride=2\n[yolo]\nmask=0,1\n",
    "4,2,1,VALID;4,2,1,SAME;3,1,2,SAME",
    "ds_r1_k3_s1_e1_c16_se0.25 ir_r2_k5_s2_e6_c24_nre uir_r1_a3_k0_s2_e4_c32",
    "[['cn_r1_k3_s2_e1_c32_skip'], ['er_r1_k3_s1_e4_c32']]",
    "cfg = [64, 'M', 128, 128, 'C']",
    "import torch.nn as nn\nn = 4*2\nnn.Sequential(nn.Conv2d(3, n, 3, padding=(1, 1)), nn.ReLU(), nn.Linear(8, 2))",
    "Net(\n  (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), bias=False)\n  (1): Sequential(\n    (0): ReLU()\n"
    "    (1): MaxPool2d(kernel_size=2, stride=2, padding=0)\n  )\n  (fc): Linear(in_features=8, out_features=2)\n)",
]
PIECES = st.sampled_from(
    [
        *"()[]{}=,:;.-_'\"*/+#\n\t 0123456789x\\\x00é",
        *(
            "nn.",
            "Sequential(",
            "Conv2d(",
            "[route]\n",
            "layers=-1",
            "[convolutional]\n",
            "SAME;",
            "_k3",
            "'M', ",
            "**9",
        ),
        *("99999999999", "-1", "None", "True", "(0): ", "  ", "lambda x: x", "1e999", "import os\n"),
    ]
)


def settle(read: Any, source: Any) -> None:
    """Anything but a network or an RfcalcError is a failure, and so is a long time."""
    start = perf_counter()
    said = 1
    try:
        found = read(source)
        assert found.network.nodes
    except RfcalcError as error:
        said = len(str(error))
    assert 0 < said < 3000
    assert perf_counter() - start < SLOWEST


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid text with stretches removed, doubled, swapped, replaced."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        i = draw(st.integers(0, len(text)))
        j = min(len(text), i + draw(st.integers(0, 12)))
        piece = draw(PIECES)
        text = draw(
            st.sampled_from(
                [text[:i] + piece + text[i:], text[:i] + text[j:], text[:j] + text[i:], text[:i] + piece + text[j:]]
            )
        )
    return text  # fmt: skip


@MANY
@given(mutated())
def test_texts_mutated(text: str) -> None:
    settle(lambda t: from_text(t, "3x16x16"), text)


@MANY
@given(st.lists(PIECES, max_size=25).map("".join))
def test_texts_from_pieces(text: str) -> None:
    settle(from_text, text)


BOMBS = {
    "brackets": "nn.Sequential(" + "(" * 200_000,
    "nested": "nn.Sequential(" * 500 + ")" * 500,
    "minus": "nn.Sequential(nn.Conv2d(3, " + "-" * 100_000 + "8, 3))",
    "sum": "nn.Sequential(nn.Conv2d(3, " + "1+" * 100_000 + "8, 3))",
    "power": "nn.Sequential(nn.Conv2d(3, 2**2**2**2**2**2, 3))",
    "digits": "nn.Sequential(nn.Conv2d(3, " + "9" * 100_000 + ", 3))",
    "attribute": "nn.Sequential(" + "a." * 100_000 + "b())",
    "printed": "Net(\n" + "".join(f"(a{i}): Net(\n" for i in range(50_000)),
    "long print": "Net(\n" + "".join(f"(a{i}): ReLU()\n" for i in range(300_000)) + ")",
    "repeat": "ir_r999999999_k3_s1_e1_c16",
    "many blocks": "ir_r9999_k3_s1_e1_c16 " * 1000,
    "list": "[" + "8, " * 1_000_000 + "'M']",
    "windows": "3,1,1,SAME;" * 400_000,
    "sections": "[net]\nwidth=8\nheight=8\n" + "[maxpool]\n" * 300_000,
    "routes": "[net]\nwidth=8\nheight=8\n[maxpool]\n" + ("[route]\nlayers=" + "-1," * 999 + "-1\n") * 500,
    "doubling": "[net]\nwidth=8\nheight=8\n[maxpool]\n" + "[route]\nlayers=-1,-1\n" * 20_000,
    "upsampling": "[net]\nwidth=8\nheight=8\n" + "[upsample]\nstride=100000\n" * 2000,
    "strings": "nn.Sequential('" + "\\" * 1_000_000,
    "spaces": " " * 4_000_000 + "nn.Sequential(",
    "comments": "#\n" * 1_000_000 + "[net]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_bounded(name: str) -> None:
    """In a process of its own, with a limit on memory and time."""
    code = (
        "import sys; from rfcalc import RfcalcError, from_text\n"
        "try:\n from_text(sys.stdin.read()); print('read')\nexcept RfcalcError as e:\n"
        " assert len(str(e)) < 3000, len(str(e)); print('refused')"
    )
    limit = 1_500_000_000
    done = subprocess.run(
        [sys.executable, "-c", code], input=BOMBS[name], capture_output=True, check=False, text=True, timeout=30,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.strip() == "refused"


_load()
KINDS = sorted({*LAYERS, *OPERATIONS})
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 9), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["same", "valid", "relu", "softmax", "channels_first", "nearest", "", "a,b->c"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=2)),
    max_leaves=6,
)  # fmt: skip
FIELDS = st.sampled_from(
    [
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "activation", "units",
        "use_bias", "pool_size", "axis", "scale", "center", "target_shape", "dims", "size", "interpolation", "rate",
        "noise_shape", "shared_axes", "max_value", "num_heads", "key_dim", "output_shape", "equation", "cropping",
        "newshape", "axes", "pad_width", "indices_or_sections", "keepdims", "height", "width", "n", "output_padding",
        "depth_multiplier", "offset", "output_size", "projection_dim", "layers", "name", "batch_shape",
    ]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.dictionaries(FIELDS, VALUES, max_size=6),
    st.sampled_from([(8, 8, 4), (8, 4), (4,)]),
    VALUES,
)
def test_configurations_of_the_wrong_types(
    kind: str, config: dict[str, Any], shape: tuple[int, ...], more: Any
) -> None:
    module = "keras.src.ops.numpy" if kind in OPERATIONS and kind not in LAYERS else "keras.layers"
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, *shape], "dtype": "float32", "keras_history": ["i", 0, 0]},
    }
    layers = [
        {"class_name": "InputLayer", "name": "i", "config": {"batch_shape": [None, *shape]}, "inbound_nodes": []},
        {
            "class_name": kind, "name": "x", "module": module, "config": config, "build_config": more,
            "inbound_nodes": [{"args": [tensor, more], "kwargs": {}}],
        },
    ]  # fmt: skip
    ends = {"input_layers": [["i", 0, 0]], "output_layers": [["x", 0, 0]]}
    settle(from_keras, json.dumps({"class_name": "Functional", "config": {"layers": layers, **ends}}))


@MANY
@given(VALUES, VALUES, VALUES, VALUES)
def test_graphs_of_the_wrong_types(layers: Any, nodes: Any, ends: Any, entry: Any) -> None:
    listed = [
        {"class_name": "InputLayer", "name": "i", "config": {"batch_shape": [None, 8, 8, 3]}},
        {"class_name": "ReLU", "name": "r", "config": {}, "inbound_nodes": nodes},
        entry,
    ]
    for config in (
        layers,
        {"layers": layers},
        {"layers": listed, "input_layers": [["i", 0, 0]], "output_layers": ends},
    ):
        for kind in ("Functional", "Sequential"):
            settle(from_keras, json.dumps({"class_name": kind, "config": config}))
