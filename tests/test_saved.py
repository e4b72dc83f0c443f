"""Bytes that autograd keeps, against what PyTorch 2.13.0 (CPU) was measured to keep with saved_tensors_hooks.

The measured figures are data, taken on 2026-11-22 with the input requiring grad and parameters left out.
"""

from __future__ import annotations

import pytest

from rfcalc import (
    Activation,
    Conv,
    Dropout,
    Flatten,
    InstanceNorm,
    Linear,
    MaxPool,
    Multiply,
    Network,
    Recurrent,
    ReLU,
    Report,
    RMSNorm,
    SelfAttention,
    Shape,
    WindowAttention,
    parallel,
    ref,
)

# layer, input, bytes beside the input map itself, whether the input map is kept; batch 1, float32
MEASURED = [
    (InstanceNorm(), Shape(6, 9, 9), 48, True),
    (InstanceNorm(affine=True), Shape(6, 9, 9), 72, True),
    (InstanceNorm(track=True), Shape(6, 9, 9), 96, True),
    (InstanceNorm(affine=True, track=True), Shape(6, 9, 9), 120, True),
    (RMSNorm(), Shape(5, 6, channel=1), 20 + 120, True),
    (RMSNorm(affine=False), Shape(5, 6, channel=1), 20, True),
    (Dropout(0.0), Shape(64), 0, False),
    (Dropout(1.0), Shape(64), 4, False),
    (Dropout(0.5), Shape(64), 256, False),
    (Conv(8, 3, padding=1), Shape(4, 13, 17), 0, True),
    (Conv(8, 3, padding=1, border="reflect"), Shape(4, 13, 17), 4 * 15 * 19 * 4, True),
    (Conv(8, 3, padding=1, border="circular"), Shape(4, 13, 17), 4 * 15 * 19 * 4, False),
    (Conv(8, 4, padding="same"), Shape(4, 13, 17), 4 * 14 * 18 * 4, False),
    (Conv(8, (3, 4), padding="same"), Shape(4, 13, 17), 4 * 13 * 18 * 4, False),
    (Conv(8, 3, padding=((0, 1), (1, 2))), Shape(4, 13, 17), 4 * 14 * 20 * 4, False),
    (MaxPool(2), Shape(4, 8, 8), 8 * 4 * 16, True),
    # without oneDNN's workspace: torch.backends.mkldnn.flags(enabled=False)
    (Recurrent("lstm", 3), Shape(5, 7, channel=1), 4 * 105, True),
    (Recurrent("lstm", 4, bidirectional=True), Shape(5, 7, channel=1), 4 * 280, True),
    (Recurrent("lstm", 3), Shape(2, 5, 7, channel=2), 4 * 280, False),
    (Recurrent("gru", 3, bidirectional=True), Shape(2, 5, 7, channel=2), 4 * 560, False),
    (Recurrent("gru", 3, bias=False), Shape(6, 7, channel=1), 4 * 126, True),
    (Recurrent("rnn", 3), Shape(5, 7, channel=1), 4 * 18, True),
    (Recurrent("rnn", 4, bidirectional=True), Shape(5, 7, channel=1), 4 * 48, True),
    (Recurrent("rnn", 3, bidirectional=True), Shape(2, 5, 7, channel=2), 4 * 212, False),
]


@pytest.mark.parametrize(("layer", "x", "extra", "keeps_input"), MEASURED, ids=lambda v: str(v)[:40])
def test_as_measured(layer, x, extra, keeps_input) -> None:
    kept = Report(Network(layer, x)).totals.saved_bytes
    assert kept == extra + (4 * x.values if keeps_input else 0)


def test_windows_with_one_head_keep_the_whole_projection() -> None:
    x = Shape(8, 8, 12, channel=2)
    assert Report(Network(WindowAttention(1, 4), x)).totals.saved_bytes == 22528
    swin_last = Shape(7, 7, 768, channel=2)  # one window: a batch of one keeps one map more
    one = Report(Network(WindowAttention(24, 7), swin_last)).totals.saved_bytes
    two = Report(Network(WindowAttention(24, 7), swin_last), batch=2).totals.saved_bytes
    assert (one, two) == (1133664, 2 * 983136)


def test_a_map_that_two_nodes_keep_counts_once() -> None:
    both = Network(parallel([Linear(8), Linear(8)], Multiply()), "8")
    # the input once, both factors
    assert Report(both).totals.saved_bytes == 4 * (8 + 8 + 8)
    chain = Network(Conv(4, 3, padding=1) >> ReLU() >> Conv(4, 3, padding=1), "2x8x8")
    assert Report(chain).totals.saved_bytes == 4 * (2 * 64 + 4 * 64)


def test_attention_keeps_four_maps_and_a_log_sum_exp() -> None:
    x = Shape(9, 16, channel=1)
    assert Report(Network(SelfAttention(4), x)).totals.saved_bytes == 4 * (5 * 9 * 16 + 4 * 9)


def test_masks_of_dropout_are_bytes_on_a_gpu() -> None:
    report = Report(Network(Linear(10) >> Dropout(), "10"))
    assert sum(k.total(4, 1, "cpu") for k in report.kept) - sum(k.total(4, 1, "cuda") for k in report.kept) == 3 * 10


def test_an_activation_writes_over_what_nobody_needs_any_more() -> None:
    def told(network: Network) -> tuple[list[str], int, int]:
        report = Report(network)
        return (
            [row.name for row in report if row.in_place],
            report.totals.values,
            report.totals.peak_bytes // report.itemsize,
        )

    conv = Conv(4, 3, padding=1).named("a")
    chain = Network(conv >> ReLU().named("b") >> Dropout().named("c"), "1x5x5")
    assert told(chain) == (["b", "c"], 25 + 100, 125)
    skip = Network(conv >> ReLU().named("b") >> (ref("a") + ref("b")), "1x5x5")
    assert told(skip) == ([], 25 + 3 * 100, 300)
    gate = Network(conv >> Activation("sigmoid").named("b") >> (ref("a") * ref("b")), "1x5x5")  # x · σ(x), as exported
    assert told(gate)[0] == []
    before = Network(conv >> Conv(4, 1).named("x") >> ref("a") >> ReLU().named("b") >> (ref("x") + ref("b")), "1x5x5")
    assert told(before) == (["b"], 25 + 300, 300)  # the other reader has run
    seen = Network(conv >> ReLU().named("b") >> Conv(1, 1).named("c"), "1x5x5", outputs=("a", "c"))
    assert told(seen)[0] == []  # an output stays as it was
    view = Network(conv >> Flatten().named("f") >> ReLU().named("b") >> Linear(3), "1x5x5")
    assert told(view)[0] == ["b"]
