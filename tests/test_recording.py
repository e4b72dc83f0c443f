"""How a module is run: values that no input reaches are computed, and reading leaves no trace."""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from asserting import checked
from test_from_torch import Of
from torch import Tensor, nn
from traces import changed, everything

from rfcalc import RfcalcError, analyze, from_torch
from rfcalc.readers.torch.untouched import the_process


def conv(a: int, b: int) -> nn.Conv2d:
    return nn.Conv2d(a, b, 3)


# --- what no input reaches --------------------------------------------------------------------------------------


class Fixed(nn.Module):
    """A convolution, and things that are fixed: an attribute, buffers, a parameter of one value."""

    pad: Tensor
    mask: Tensor
    steps: Tensor

    def __init__(self, run: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.run = run
        self.c = conv(3, 4)
        self.t = torch.tensor([8.0, 16.0])
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("pad", torch.tensor(4.0))
        self.register_buffer("mask", torch.tensor([True, False, True, True]))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def for_each(m: Any, x: Tensor) -> Tensor:
    y: Tensor = m.c(x)
    for value in m.t:
        y = y + int(value)
    return y


def counting_on(m: Any, x: Tensor) -> Tensor:
    m.steps += 1
    m.steps.add_(1)
    y: Tensor = m.c(x)
    return y[..., : int(m.steps)]


def strides_of_levels(m: Any, x: Tensor) -> Tensor:
    """What detectors do: positions of cells by strides that were measured when the module was built."""
    y: Tensor = m.c(x)
    points = []
    for stride in m.t.tolist():
        a = torch.arange(y.shape[-1], device=x.device).type_as(y) + 0.5
        points.append(torch.stack(torch.meshgrid(a, a, indexing="ij"), -1).view(-1, 2) * stride)
    return y * float(points[0].max()) + m.t.max().item()


def by_list(m: Any, x: Tensor) -> Tensor:
    return m.c(x)[:, torch.nonzero(m.mask).flatten().tolist()]  # type: ignore[no-any-return]


VALUES: list[tuple[str, Callable[[Any, Tensor], Any], tuple[int, ...]]] = [
    ("item", lambda m, x: m.c(x) * m.t[0].item(), (4, 14, 14)),
    ("full", lambda m, x: m.c(x) * torch.full((1, 1), m.t[0]), (4, 14, 14)),
    ("each", for_each, (4, 14, 14)),
    ("int", lambda m, x: m.c(x)[..., : int(m.pad)], (4, 14, 4)),
    ("index", lambda m, x: m.c(x)[..., : m.mask.sum()], (4, 14, 3)),
    ("axes", lambda m, x: m.c(x).mean(torch.arange(2, x.dim()).tolist()), (4,)),
    ("parameter", lambda m, x: m.c(x) * m.scale.item(), (4, 14, 14)),
    ("branch", lambda m, x: m.c(x) if bool((m.t > 10).any()) else x, (4, 14, 14)),
    ("equal", lambda m, x: m.c(x) if torch.equal(m.t, m.t + 0) else x, (4, 14, 14)),
    ("numpy", lambda m, x: m.c(x)[..., : int(m.t.numpy().min())], (4, 14, 8)),
    ("made", lambda m, x: m.c(x)[..., : int(torch.tensor(x.shape[-1]).sqrt())], (4, 14, 4)),
    ("new", lambda m, x: m.c(x)[..., : int(x.new_tensor([3.0]))], (4, 14, 3)),
    ("ones_like", lambda m, x: m.c(x)[..., : int(torch.ones_like(x[0, 0, 0]).sum()) - 10], (4, 14, 6)),
    ("device", lambda m, x: m.c(x) if x.device == m.t.device and not x.is_meta else x, (4, 14, 14)),
    ("written", lambda m, x: m.c(x)[..., : int(torch.zeros(3).index_fill_(0, torch.tensor([1]), 5).sum())], (4, 14, 5)),
    ("counter", counting_on, (4, 14, 2)),
    ("levels", strides_of_levels, (4, 14, 14)),
    ("list", by_list, (3, 14, 14)),
    ("large", lambda m, x: m.c(x)[..., : int((m.c.weight.new_ones(200, 200) * 0).sum()) + 2], (4, 14, 2)),
    ("of weights", lambda m, x: m.c(x)[..., : int((m.c.weight * 0).sum()) + 2], (4, 14, 2)),
]


@pytest.mark.parametrize(("name", "run", "shape"), VALUES, ids=[name for name, *_ in VALUES])
def test_what_no_input_reaches_has_values(name: str, run: Callable[[Any, Tensor], Any], shape: tuple[int, ...]) -> None:
    module = Fixed(run)
    read = from_torch(module, "3x16x16")
    report = analyze(read)
    assert read.complete, read.unknown
    assert report.rows[-1].output_shape == shape == tuple(module(torch.rand(1, 3, 16, 16)).shape[1:])
    assert (int(module.steps), module.steps._version) == ((0, 0) if name != "counter" else (2, 2))
    if name not in ("axes", "counter"):
        assert report.rows[-1].receptive_field.size == (3, 3)


def test_large_parameters_are_computed_only_where_their_values_are_asked() -> None:
    big = nn.Parameter(torch.zeros(300, 300))
    read = from_torch(Of(lambda m, x: m.c(x)[..., : int((m.w + 1).mean()) + 1], c=conv(3, 4), w=big), "3x8x8")
    assert analyze(read).rows[-1].output_shape == (4, 6, 2)


def known_masks(m: Any, x: Tensor) -> Any:
    y: Tensor = m.c(x)
    return (
        y[:, m.mask],
        y.masked_select(m.mask.view(1, 4, 1, 1)),
        y[:, :3].repeat_interleave(torch.tensor([1, 2, 3]), 1),
    )


def test_sizes_that_follow_from_known_masks() -> None:
    read = from_torch(Fixed(known_masks), "3x16x16")
    assert {s for n, s in read.shapes.items() if n != "c"} >= {(3, 14, 14), (588,), (6, 14, 14)}


ASKED: list[tuple[Callable[[Any, Tensor], Any], str]] = [
    (lambda m, x: m.c(x) * x.mean().item(), "item"),
    (lambda m, x: m.c(x)[..., : int(x.sum())], "int"),
    (lambda m, x: x.mean((1, 2, 3)).tolist() and m.c(x), "tolist"),
    (lambda m, x: m.c(torch.from_numpy(x.numpy())), "numpy"),
    (lambda m, x: m.c(x) if torch.equal(x, x) else x, "equal"),
    (lambda m, x: m.c(x) if (x > 0).all() and m.c else x, "bool"),
    (lambda m, x: m.c(x)[..., : int(torch.zeros(2).index_copy_(0, torch.tensor([0]), x[0, 0, 0, :1]).sum())], "int"),
    (lambda m, x: m.c(x) * float(torch.rand(1)), "float"),
]


@pytest.mark.parametrize(("run", "asked"), ASKED, ids=[str(i) for i in range(len(ASKED))])
def test_control_values_of_the_input_are_not_there(run: Callable[[Any, Tensor], Any], asked: str) -> None:
    module = Fixed(run)
    with pytest.raises(RfcalcError) as caught:
        from_torch(module, "3x16x16")
    said = str(caught.value)
    assert "depends on the values of its input" in said
    assert f"it asks for {asked} of them" in said
    assert "test_recording.py, line" in said


def test_assertions_on_values_are_told() -> None:
    read = from_torch(Fixed(checked), "3x16x16")
    told = [note for note in read.notes if note.startswith("taken to hold, whatever the input: ")]
    assert len(told) == 4
    assert all("asserting.py, line" in note for note in told)
    assert "if torch.isnan(x).any()" in told[1]
    assert read.complete
    assert [row.name for row in analyze(read)][-1] == "c"
    assert any("taken to hold" in line for line in analyze(read).assumptions)


# --- no trace ---------------------------------------------------------------------------------------------------


class Frozen(dict):  # type: ignore[type-arg]
    """A configuration that refuses to be changed."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("frozen")

    clear = pop = __setitem__ = __delitem__ = update  # type: ignore[assignment]


class Holder:
    def __init__(self) -> None:
        self.calls = 0
        self.maps: list[Any] = []


COUNTED = 0
KEPT: dict[str, Any] = {}
LATEST = Holder()


def of_the_file() -> Any:
    return COUNTED, dict(KEPT), dict(vars(LATEST)), list(Hostile.kept), Hostile.runs


def change_the_process() -> None:
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.autograd.set_detect_anomaly(True)
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)
    torch.set_printoptions(precision=2)
    np.seterr(all="raise")
    np.set_printoptions(precision=2)
    sys.setrecursionlimit(sys.getrecursionlimit() + 10)
    gc.disable()
    sys.excepthook = print
    logging.root.setLevel(1)
    logging.root.addHandler(logging.NullHandler())
    nn.functional.relu = nn.functional.relu6
    nn.modules.module.register_module_forward_hook(lambda *a: None)


class Hostile(nn.Module):
    """Writes to everything that it can reach."""

    runs = 0
    kept: ClassVar[list[Any]] = []
    buffer: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.config = Frozen(width=4, deep={"a": [1, 2]})
        self.ordered: OrderedDict[str, Any] = OrderedDict(a=1, b=2)
        self.last: deque[Any] = deque([1], maxlen=3)
        self.holder = Holder()
        self.c, self.d = conv(3, 4), conv(3, 4)
        self.w = nn.Parameter(torch.ones(4))
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.register_buffer("buffer", torch.arange(4.0))
        self.plain = torch.arange(4.0)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: Tensor, fail: bool = False) -> Tensor:
        type(self).runs += 1
        self.config["deep"]["a"].append(3)
        self.ordered.move_to_end("a")
        self.last.append(x)
        self.holder.calls += 1
        self.holder.maps.append(x)
        y: Tensor = self.bn(self.c(x))
        self.w.data = self.w.data * 2
        self.c.bias.data = y.mean((0, 2, 3))  # type: ignore[union-attr]
        self.c.weight.data.mul_(2)
        self.frozen.requires_grad_(True)
        self.frozen.grad = torch.ones(4)
        self.buffer += 1
        self.plain[0] = 7
        self.buffer.resize_(2)
        self.d = self.c
        self.extra = nn.Conv2d(4, 4, 1)
        self.add_module("more", nn.ReLU())
        self.register_forward_hook(lambda *a: None)
        self.train()
        torch.manual_seed(1), random.seed(1), np.random.seed(1)
        torch.rand(3), random.random(), np.random.rand()
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(2)
        warnings.simplefilter("always")
        sys.argv.append("--more")
        sys.path.append("elsewhere")
        os.environ["RFCALC_TEST"] = "1"
        os.chdir("/")
        change_the_process()
        globals()["COUNTED"] += 1
        KEPT["last"] = x
        LATEST.calls += 1
        type(self).kept.append(x)
        print("here")
        if x.shape[-1] == 7:
            raise ValueError("seven")
        return y + self.frozen.sum()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("side", [8, 7, 1])
def test_reading_leaves_no_trace(side: int, training: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where it fails: in the module's own code at 7, in torch's at 1."""
    module = Hostile()
    module.bn.train()
    before, kept = everything(module), of_the_file()
    if side == 8:
        from_torch(module, (3, side, side), training=training)
    else:
        with pytest.raises(RfcalcError, match="seven" if side == 7 else "does not run"):
            from_torch(module, (3, side, side), training=training)
    assert not changed(before, everything(module))
    assert of_the_file() == kept
    out, err = capsys.readouterr()
    assert out == ""
    assert ("here" in err) == (side > 1)


def test_control_the_hostile_module_leaves_traces() -> None:
    """Run as it is, it changes everything that is compared, but for what cannot be changed from inside."""
    module = Hostile()
    start = everything(module)
    with the_process(), warnings.catch_warnings(), torch.no_grad():
        before, kept = everything(module), of_the_file()
        module(torch.rand(2, 3, 8, 8))
        after = everything(module)
        file = of_the_file()
    Hostile.runs, Hostile.kept = 0, []
    globals().update(COUNTED=0, KEPT={}, LATEST=Holder())
    assert set(before) - set(changed(before, after)) <= {"inference", "modes"}
    assert all(a != b for a, b in zip(file, kept, strict=True))
    assert changed(start, everything(module)) == ["module"]


def test_hooks_that_collect_collect_nothing() -> None:
    module, found = conv(3, 4), []
    module.register_forward_hook(lambda m, x, y: found.append(y))
    from_torch(module, "3x8x8")
    assert found == []
    module(torch.rand(1, 3, 8, 8))
    assert len(found) == 1


def test_weights_that_forward_sets_from_the_input_are_not_taken_for_its_own() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        m.c.weight.data = x[:, :, :3, :3].expand(4, 3, 3, 3)
        return m.c(x)  # type: ignore[no-any-return]

    read = from_torch(Of(run, c=conv(3, 4)), "3x8x8")
    assert read.complete
    assert (read.unused, analyze(read).totals.params) == ({"c.weight": 108}, 4)
    assert analyze(read).rows[-1].receptive_field.status == "global"  # the first pixels too, wherever it is


REAL: list[tuple[str, str]] = [
    ("torchvision", "resnet18"),
    ("torchvision", "mobilenet_v3_small"),
    ("torchvision", "swin_t"),
    ("timm", "resnetv2_50"),
    ("timm", "efficientvit_b0"),
    ("timm", "volo_d1_224"),
]


def real(package: str, name: str) -> nn.Module:
    from vision import models

    vision = models()
    if package == "torchvision":
        return vision.get_model(name)  # type: ignore[no-any-return]
    import timm

    return timm.create_model(name)


@pytest.mark.parametrize(("package", "name"), REAL)
def test_no_trace_on_real_models(package: str, name: str) -> None:
    module = real(package, name).train()
    before = everything(module)
    from_torch(module, "3x224x224")
    from_torch(module, "3x224x224", training=True)
    with pytest.raises(RfcalcError):
        from_torch(module, "5x224x224")
    assert not changed(before, everything(module))


# --- other sorts of modules -------------------------------------------------------------------------------------


class Branched(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c = conv(3, 4)
        self.b = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.c(x)) + 1  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", ["trace", "script", "fx", "export"])
def test_traced_and_scripted_modules_are_read(how: str) -> None:
    module, x = Branched().eval(), torch.rand(1, 3, 16, 16)
    made: Any = {
        "trace": lambda: torch.jit.trace(module, x),
        "script": lambda: torch.jit.script(module),
        "fx": lambda: torch.fx.symbolic_trace(module),
        "export": lambda: torch.export.export(module, (x,)).module(),
    }[how]()
    right, found = analyze(from_torch(module, "3x16x16")), analyze(from_torch(made, "3x16x16"))
    assert found.totals.to_dict() == right.totals.to_dict()
    assert [r.receptive_field.to_dict() for r in found] == [r.receptive_field.to_dict() for r in right]
    assert [r.name for r in found if r.params] == ["c", "b.0", "b.1"]


def by_tokens(run: Callable[[Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    return lambda m, x: run(m.c(x).flatten(2).transpose(1, 2)[:, None])


def flexible(q: Tensor) -> Tensor:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    causal = create_block_mask(lambda b, h, i, j: i >= j, None, None, q.shape[2], q.shape[2], device=str(q.device))
    return flex_attention(q, q, q, block_mask=causal)  # type: ignore[return-value]


def biased(q: Tensor) -> Tensor:
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention(q, q, q, score_mod=lambda s, b, h, i, j: s + (i - j))  # type: ignore[return-value]


def looped(m: Any, x: Tensor) -> Tensor:
    return torch.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, m.c(y)), (torch.tensor(0), x))[1]  # type: ignore[no-any-return]


HIGHER: list[tuple[str, Callable[[Any, Tensor], Any], Callable[[Any, Tensor], Any]]] = [
    ("cond", lambda m, x: torch.cond(m.t[0] > 4, m.c, lambda x: x, (x,)), lambda m, x: m.c(x)),
    ("cond of shapes", lambda m, x: torch.cond(x.shape[-1] > 99, lambda x: x, m.c, (x,)), lambda m, x: m.c(x)),
    ("vmap", lambda m, x: torch.vmap(lambda a: m.c(a[None])[0])(x), lambda m, x: m.c(x)),
    ("vmap, 1", lambda m, x: torch.vmap(torch.relu, 1, 1)(m.c(x)), lambda m, x: torch.relu(m.c(x))),
    ("flexible", by_tokens(biased), by_tokens(lambda q: torch.nn.functional.scaled_dot_product_attention(q, q, q))),
]


@pytest.mark.parametrize(("name", "run", "plain"), HIGHER, ids=[name for name, *_ in HIGHER])
def test_operators_that_run_code_are_read_as_plain_ones(
    name: str, run: Callable[[Any, Tensor], Any], plain: Callable[[Any, Tensor], Any]
) -> None:
    found, right = analyze(from_torch(Fixed(run), "3x8x8")), analyze(from_torch(Fixed(plain), "3x8x8"))
    assert found.complete
    assert (found.totals.macs, found.totals.params) == (right.totals.macs, right.totals.params)
    assert found.rows[-1].output_shape[-len(right.rows[-1].output_shape) :] == right.rows[-1].output_shape
    assert found.rows[-1].receptive_field.to_dict()["size"] == right.rows[-1].receptive_field.to_dict()["size"]


def test_a_causal_mask_of_flexible_attention_is_known() -> None:
    from rfcalc.readers.torch.given import calls
    from rfcalc.readers.torch.recording import record

    module = Fixed(by_tokens(flexible))
    recording = record(module, calls(module, "3x8x8")[0], False)
    (step,) = [s for s in recording.steps if s.name == "scaled_dot_product_attention"]
    assert torch.equal(step.args["attn_mask"], torch.ones(36, 36).tril().bool())


def test_control_the_input_decides_on_a_branch() -> None:
    with pytest.raises(RfcalcError, match=r"the condition of torch\.cond"):
        from_torch(Fixed(lambda m, x: torch.cond(x.sum() > 0, m.c, m.c, (x,))), "3x8x8")
    assert len(analyze(from_torch(Of(looped, c=nn.Conv2d(3, 3, 3)), "3x16x16")).rows) == 3


class Swish(torch.autograd.Function):
    """Keeps its input alone."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return x * x.sigmoid()


def test_a_derivative_of_its_own_is_told() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Swish.apply(x)  # type: ignore[no-any-return]

    before = torch.autograd.Function.__dict__["apply"]
    read = from_torch(Net(), (2, 8))
    assert any("Swish defines a derivative of its own" in note for note in read.notes)
    assert torch.autograd.Function.__dict__["apply"] is before
    assert not any("derivative" in note for note in from_torch(nn.SiLU(), (2, 8)).notes)
