"""`verify` measures the user's own module: shapes, multiply-adds, receptive fields, bytes; wrong readings are seen."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_from_torch import Of
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from vision import models

from rfcalc import RfcalcError, analyze, from_torch
from rfcalc.backend.verify import verify
from rfcalc.backend.verify.finding import DISAGREES, EQUAL
from rfcalc.cli import run
from rfcalc.core.layer import Layer
from rfcalc.layers.conv import Conv
from rfcalc.readers.builder.values import Value
from rfcalc.readers.torch import translate

torch.set_num_threads(1)
WHAT = ("shapes", "params", "macs", "receptive_field", "saved_bytes")


def checked(module: nn.Module, shape: Any, what: tuple[str, ...] = WHAT, **options: Any) -> Any:
    return verify(analyze(from_torch(module, shape), **options), what=what)


def figure(found: Any, name: str) -> tuple[Any, Any]:
    (finding,) = [f for f in found.findings if f.figure.startswith(name)]
    return finding.predicted, finding.measured


class Strided(nn.Module):
    """Two levels, a skip, pooling, a gate, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.Hardswish())
        self.pool, self.head = nn.MaxPool2d(3, 2), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.a(x)
        y = y + self.b(y)
        return {"map": self.head(self.pool(y)), "sum": y.mean((2, 3))}


MODULES: list[tuple[str, Callable[[], nn.Module], Any]] = [
    ("strided", Strided, "3x33x33"),
    ("signal", lambda: nn.Sequential(nn.Conv1d(2, 4, 5, 2), nn.GELU(), nn.Conv1d(4, 4, 3, dilation=3)), "2x60"),
    ("raw", lambda: Of(lambda m, x: m.c(x[:, None]), c=nn.Conv1d(1, 4, 10, 5)), 100),
    ("transposed", lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ConvTranspose2d(4, 2, 4, 2)), "3x17x17"),
    ("volume", lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU6(), nn.AvgPool3d(2)), "1x8x8x8"),
    ("tokens", lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), "6x16"),
]


@pytest.mark.parametrize(("name", "make", "shape"), MODULES, ids=[name for name, *_ in MODULES])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_module_itself_is_measured(name: str, make: Callable[[], nn.Module], shape: Any, batch: int) -> None:
    module = make()
    before = {n: (t, t.clone()) for n, t in module.state_dict(keep_vars=True).items()}
    found = checked(module, shape, batch=batch)
    assert found.passed, [f for f in found.findings if f.verdict == DISAGREES]
    assert found.notes[0].startswith("measured on the module itself")
    assert {f.what for f in found.findings if f.verdict == EQUAL} >= {"shapes", "params", "macs", "saved_bytes"}
    assert all(module.state_dict(keep_vars=True)[n] is t and torch.equal(t, old) for n, (t, old) in before.items())
    assert all(p.grad is None for p in module.parameters())


def test_real_models() -> None:
    for name, side in (("resnet18", 64), ("squeezenet1_0", 96), ("mobilenet_v3_small", 64)):
        found = checked(models().get_model(name), f"3x{side}x{side}")
        assert found.passed, [f for f in found.findings if f.verdict == DISAGREES]
        assert sum(f.what == "shapes" for f in found.findings) > 20
        assert any(f.what == "receptive_field" and f.figure.startswith("unit") for f in found.findings)


def test_gradients_and_optimizer_state_of_what_is_trained() -> None:
    body = nn.Linear(64, 64).requires_grad_(False)
    found = checked(nn.Sequential(body, nn.ReLU(), nn.Linear(64, 2)), (64,))
    assert found.passed
    assert figure(found, "gradients") == (520, 520)
    assert figure(found, "state of Adam") == (1040, 1040)
    assert figure(found, "parameters that get a gradient") == (130, 130)


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.a = nn.Conv2d(3, 8, 3, padding=1)
        self.b = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 8, 3, padding=1), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.b, self.a(x), use_reentrant=self.reentrant)  # type: ignore[no-any-return]


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_blocks_keep_less(reentrant: bool) -> None:
    """What is kept is predicted to the byte: of a part that is computed again, what it reads."""
    read = from_torch(Checkpointed(reentrant), "3x16x16")
    assert [n for n in read.notes if "checkpointed" in n and "1 part of it is" in n]
    found = verify(analyze(read), what=WHAT)
    assert found.passed
    assert figure(found, "kept for backward") == (4 * (3 + 8) * 256, 4 * (3 + 8) * 256)
    (finding,) = [f for f in found.findings if f.figure.startswith("kept")]
    assert finding.verdict == EQUAL
    assert "checkpointed" in finding.note
    assert analyze(read).totals.saved_bytes == 35_840  # without


class Block(nn.Module):
    def __init__(self, reentrant: bool, kind: int) -> None:
        super().__init__()
        conv = nn.Conv2d(8, 8, 3, padding=1)
        self.body = [
            nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU()),
            nn.Sequential(conv, nn.Dropout(0.1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 1)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv),
        ][kind]
        self.reentrant, self.within = reentrant, kind == 1

    def forward(self, x: Tensor) -> Tensor:
        run = self._again if self.within else self.body
        y: Tensor = checkpoint(run, x, use_reentrant=self.reentrant)
        return x + y

    def _again(self, x: Tensor) -> Tensor:
        return checkpoint(self.body, x, use_reentrant=self.reentrant)  # type: ignore[no-any-return]


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("kinds", [(0,), (1, 2), (2, 0, 1), (0, 0, 0)])
def test_checkpointed_parts_with_statistics_masks_indices_and_parts_of_their_own(
    reentrant: bool, kinds: tuple[int, ...]
) -> None:
    blocks = [Block(reentrant, kind) for kind in kinds]
    found = checked(nn.Sequential(nn.Conv2d(3, 8, 3), *blocks, nn.Flatten(), nn.Linear(8 * 36, 3)), "3x8x8", batch=2)
    assert found.passed, [f for f in found.findings if f.verdict == DISAGREES]
    (kept,) = [f for f in found.findings if f.figure.startswith("kept")]
    assert kept.verdict == EQUAL, kept
    units = [f for f in found.of("receptive_field") if f.figure.startswith(("unit ", "output"))]
    assert {f.verdict for f in units} == {EQUAL}
    assert len({f.node for f in units}) == 2  # the last map that a layer gives, and the output


class Cut(nn.Module):
    """A branch that no derivative passes: it is seen all the same."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.near, self.far = how, nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "detach":
            return self.near(x) + self.far(x).detach()  # type: ignore[no-any-return]
        with torch.no_grad():
            y = self.far(x.mul_(0.5) if self.how == "written" else x)
        return self.near(x) + y  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["detach", "no_grad", "written"])
def test_pixels_without_a_derivative_are_moved(how: str) -> None:
    found = checked(Cut(how), "2x9x9", what=("receptive_field", "saved_bytes"))
    assert found.passed, [f for f in found.findings if f.verdict == DISAGREES]
    middle = next(f for f in found.of("receptive_field") if f.figure.startswith("unit 4,4"))
    assert middle.verdict == EQUAL
    assert "16 pixels moved" in middle.note


def test_outputs_without_positions_are_measured() -> None:
    module = Of(lambda m, x: m.c(x).amax((2, 3)), c=nn.Conv2d(3, 4, 3, 2))
    found = checked(module, "3x8x8", what=("receptive_field",))
    assert found.passed
    (flat,) = [f for f in found.findings if f.figure.startswith("output on")]
    assert flat.predicted == flat.measured == "7 x 7 at 0 … 6, 0 … 6, 49 pixels"
    vectors = checked(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2)), "6", what=("receptive_field",))
    (plain,) = [f for f in vectors.findings if f.figure.startswith("output on")]
    assert plain.predicted == plain.measured == "the whole input, which has no positions"


def test_a_module_that_does_not_run_is_told() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.e = nn.Conv1d(8, 4, 3), nn.Embedding(10, 8)

        def forward(self, ids: Tensor) -> Tensor:
            if self.training:
                raise KeyError("targets")
            return self.c(self.e(ids).transpose(1, 2))  # type: ignore[no-any-return]

    found = checked(Net(), "int64:16", what=("shapes", "saved_bytes"))
    assert found.passed
    (kept,) = found.of("saved_bytes")
    assert kept.verdict == "not measured"
    assert "KeyError" in kept.note
    read = analyze(
        from_torch(Of(lambda m, x: m.c(m.e(x + 10).transpose(1, 2)), **dict(Net().named_children())), "int64:16")
    )
    with pytest.raises(RfcalcError, match="not on values"):
        verify(read, what=("shapes",))


# --- a wrong reading is caught --------------------------------------------------------------------------------------


def wrong(change: Callable[[Layer], Layer]) -> Callable[[Any], Any]:
    """A handler of convolutions that reads another layer than there is."""
    translate.load()
    good = translate.HANDLERS["conv2d"]

    def handler(call: Any) -> Any:
        made = good(call)
        assert isinstance(made, Value)
        node = call.graph.nodes[made.node - len(call.graph.inputs)]
        node.layer = change(node.layer)
        return made

    return handler


def dilated(layer: Layer) -> Layer:
    assert isinstance(layer, Conv)
    return Conv(layer.out_channels, 3, padding=2, dilation=2, bias=layer.bias is not False)


def larger(layer: Layer) -> Layer:
    assert isinstance(layer, Conv)
    return Conv(layer.out_channels, 5, padding=2, bias=layer.bias is not False)


def grouped(layer: Layer) -> Layer:
    assert isinstance(layer, Conv)
    return Conv(layer.out_channels, 3, padding=1, groups=4)


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))


@pytest.mark.parametrize(
    ("change", "checks"),
    [(dilated, {"receptive_field"}), (larger, {"receptive_field", "macs", "params"}), (grouped, {"macs", "params"})],
)
def test_control_mutants_of_a_handler_disagree(
    change: Callable[[Layer], Layer], checks: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(plain(), "4x16x16").passed
    monkeypatch.setitem(translate.HANDLERS, "conv2d", wrong(change))
    found = checked(plain(), "4x16x16", ("shapes", "params", "macs", "receptive_field"))
    assert {f.what for f in found.findings if f.verdict == DISAGREES} == checks


def test_control_a_branch_that_is_lost_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    translate.load()
    monkeypatch.setitem(translate.HANDLERS, "add", lambda call: call.x)
    module = Of(lambda m, x: m.a(x) + m.b(x), a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 4, 5, padding=2))
    found = checked(module, "3x16x16", ("shapes", "macs", "receptive_field"))
    assert any(f.what == "receptive_field" and f.verdict == DISAGREES for f in found.findings)


def test_control_attention_whose_mask_is_lost_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    def causal(m: Any, x: Tensor) -> Tensor:
        q = m.l(x.transpose(1, 2))
        scores = (q @ q.transpose(1, 2)).masked_fill(torch.ones(16, 16).triu(1).bool(), -torch.inf)
        return scores.softmax(-1) @ q

    module = Of(causal, l=nn.Linear(8, 8))
    assert checked(module, "8x16", ("receptive_field",)).passed
    monkeypatch.setattr(translate, "follow", lambda graph, step: None)
    assert not checked(module, "8x16", ("receptive_field",)).passed


@pytest.mark.parametrize("by", [1, -1])
def test_control_a_branch_without_derivatives_that_is_misread_disagrees(
    monkeypatch: pytest.MonkeyPatch, by: int
) -> None:
    """A kernel of the branch that is read too small or too large: gradients alone would not tell the first."""

    def change(layer: Layer) -> Layer:
        if not isinstance(layer, Conv) or layer.kernel[0] != 5:
            return layer
        return replace(layer, kernel=(5 + 2 * by,) * 2, padding=((2 + by,) * 2,) * 2)

    monkeypatch.setitem(translate.HANDLERS, "conv2d", wrong(change))
    found = checked(Cut("detach"), "2x13x13", what=("receptive_field",))
    middle = next(f for f in found.of("receptive_field") if f.figure.startswith("unit 6,6"))
    assert middle.verdict == DISAGREES
    assert ("others have" if by < 0 else "have no influence") in middle.note


def test_verifying_leaves_no_trace() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.log = nn.Conv2d(3, 4, 3), []  # type: ignore[var-annotated]

        def forward(self, x: Tensor) -> Tensor:
            self.log.append(x)
            type(self).last = x  # type: ignore[attr-defined]
            os.environ["RFCALC_TEST"] = "1"
            os.chdir("/")
            torch.manual_seed(7)
            torch.set_default_dtype(torch.float64)
            return self.c(x.to(self.c.weight.dtype)).to(torch.float32)  # type: ignore[no-any-return]

    module = Net()

    def state() -> Any:
        own = {k: v.clone() for k, v in module.state_dict().items()}
        hash_of = [(k, v.dtype, v.tolist()) for k, v in own.items()]
        return hash_of, os.getcwd(), dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()

    before = state()
    found = checked(module, "3x8x8")
    assert found.findings
    assert state() == before
    assert module.log == []
    assert not hasattr(Net, "last")


def test_control_false_claims_of_a_summary_disagree() -> None:
    """Regions may be right, and what the summary says of them wrong."""
    from rfcalc.backend.verify.gradient import claims
    from rfcalc.receptive.receptive_field import ReceptiveField

    report = analyze(from_torch(plain(), "4x16x16"))
    field = report.rows[-1].receptive_field
    seen = {(8, 8): {(y, x) for y in range(6, 11) for x in range(6, 11)}}
    assert all(f.verdict == EQUAL for f in claims(report, "2", field, seen))
    less = {(8, 8): {(8, 8)}}
    assert [f.verdict for f in claims(report, "2", field, less)] == [DISAGREES, DISAGREES]
    everywhere = analyze(from_torch(nn.AdaptiveAvgPool2d(1), "4x16x16")).rows[-1].receptive_field
    assert isinstance(everywhere, ReceptiveField)
    assert everywhere.status == "global"
    assert all(f.verdict == DISAGREES for f in claims(report, "2", everywhere, seen))


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\n"
        "def net():\n    return nn.Sequential(nn.Linear(64, 64).requires_grad_(False), nn.Linear(64, 2))\n"
    )
    assert run(["verify", "net.py:net", "--input", "64"]) == 0
    said = capsys.readouterr().out
    assert "measured on the module itself" in said
    assert "gradients  520" in said
    assert run(["verify", "conv3-8 > relu", "--input", "3x8x8", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "measured on the network, built in PyTorch of what rfcalc read" in found["notes"]


def test_recurrent_layers_are_counted_as_pytorch_decomposes_them() -> None:
    """oneDNN runs an LSTM in one kernel, of which PyTorch's counter sees nothing."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 6, 2, batch_first=True)
            self.gru = nn.GRU(6, 4, batch_first=True, bidirectional=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.gru(self.lstm(x)[0])[0]
            return y

    found = verify(analyze(from_torch(Net(), "11x8")), what=("shapes", "params", "macs"), device="cpu")
    assert found.passed
    assert [f.measured for f in found.of("macs")] == [11 * (4 * 6 * 14 + 4 * 6 * 12 + 2 * 3 * 4 * (6 + 4))]


@pytest.mark.parametrize("again", [1, 2])
def test_multiply_adds_of_a_layer_with_the_weight_of_another(again: int) -> None:
    """Its product and its bias are nodes of their own."""

    def tied(layer: Callable[[], nn.Module]) -> nn.Module:
        a, b = layer(), layer()
        b.weight = a.weight

        def forward(m: Any, x: Tensor) -> Tensor:
            x = torch.tanh(m.a(x))
            for _ in range(again):
                x = m.b(x)
            return x

        return Of(forward, a=a, b=b)

    for layer, shape in ((lambda: nn.Linear(16, 16), "16"), (lambda: nn.Conv2d(4, 4, 3, padding=1), "4x8x8")):
        found = checked(tied(layer), shape, ("macs",))
        assert found.passed
        each = [f.measured for f in found.of("macs") if f.node]
        assert each == [each[0], again * each[0]]


def test_windows_in_the_batch_of_a_module_have_their_shape() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.conv = nn.Linear(3, 5), nn.Conv2d(5, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n, c, h, w = x.shape
            x = x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, c)
            return self.conv(self.tokens(x).transpose(1, 2).unflatten(2, (2, 2)))

    found = verify(analyze(from_torch(Net(), "3x8x8")), what=("shapes",), device="cpu")
    assert found.passed
    assert len(found.of("shapes")) == 3


def test_modules_that_keep_what_they_compute_are_copied() -> None:
    """`weight_norm` keeps the weight that it computes, which copy.deepcopy refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = nn.Sequential(nn.utils.weight_norm(nn.Conv1d(2, 3, 3)), nn.ReLU())
    found = verify(analyze(from_torch(module, "2x9")), device="cpu")
    assert found.passed
    assert not [f for f in found.findings if f.verdict not in (EQUAL, "within bound")]


def test_a_call_that_no_input_reaches_has_no_node() -> None:
    """One activation, called on the input, on a parameter, and on the input again."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act, self.table = nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Parameter(torch.zeros(7))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.act(self.conv(x))
            return self.act(y + 1) * self.act(self.table).sum()

    found = verify(analyze(from_torch(Net(), "3x8x8")), what=("shapes",), device="cpu")
    assert found.passed
    assert "conv" in {f.node for f in found.of("shapes")}


def test_the_peak_of_masked_attention_is_measured() -> None:
    """On tensors without data: the table of the mask stands on the device of what it masks."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = torch.full((x.shape[1],) * 2, float("-inf")).triu(1)
            return self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]  # type: ignore[no-any-return]

    found = verify(analyze(from_torch(Net(), "8x16")))
    assert found.passed
    assert [f.verdict for f in found.of("peak_bytes")] in ([EQUAL], ["within bound"])
