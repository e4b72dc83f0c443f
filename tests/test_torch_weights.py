"""torchvision's names and shapes, its weights in our modules, and equal scores."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from vision import models

import rfcalc
from rfcalc import BatchNorm, Conv, Flatten, Linear, Network, PReLU, ReLU, to_torch, zoo
from rfcalc.backend import (
    counts,
    dense,
    dense_network,
    flat,
    grow,
    initialise,
    load_weights,
    save_weights,
    scores,
)
from rfcalc.core.errors import LayerError, RfcalcError

torch.set_num_threads(1)
NAMED = [entry.name for entry in zoo.entries() if entry.build().torch is not None]


def theirs(network: Network, device: str = "meta") -> nn.Module:
    """torchvision's model of a network, by the name that its table gives."""
    assert network.torch is not None
    name, _, arguments = network.torch.model.partition("(")
    given: dict[str, Any] = dict(a.split("=") for a in arguments.rstrip(")").split(",") if a)
    given = {k: {"False": False}.get(v, None if v == "None" else v) for k, v in given.items()}
    given = {k: v if v is False else float(v) for k, v in given.items()}
    made: Any = models()
    for part in name.split("."):
        made = getattr(made, part)
    if name in ("googlenet", "inception_v3"):
        given |= {"init_weights": False}
    if name.startswith("segmentation"):
        given |= {"weights_backbone": None}
    with torch.device(device):
        return made(**given)  # type: ignore[no-any-return]


def test_the_docs_count_them() -> None:
    assert len(NAMED) == 66


@pytest.mark.parametrize("name", NAMED)
def test_state_dicts_are_torchvisions(name: str) -> None:
    network = rfcalc.load(name)
    ours = to_torch(network, device="meta")
    reference = theirs(network)
    mine = {k: tuple(v.shape) for k, v in ours.state_dict().items()}
    assert mine == {k: tuple(v.shape) for k, v in reference.state_dict().items()}
    totals = rfcalc.analyze(network).totals
    assert counts(ours) == counts(reference) == (totals.params, totals.buffers)


def shaken(module: nn.Module) -> nn.Module:
    """Weights and statistics that are no defaults, so that a wrong place shows."""
    generator = torch.Generator().manual_seed(7)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 1.5, generator=generator)
        elif tensor.is_floating_point() and tensor.dim() <= 1 and "table" not in name:
            nn.init.uniform_(tensor, 0.5 if name.endswith("weight") else -0.2, 1.0, generator=generator)
    return module


def agrees(network: Network, inputs: Tensor, reference: nn.Module | None = None) -> None:
    """Equal scores from equal weights, in evaluation mode."""
    reference = shaken(reference or theirs(network, "cpu")).double().eval()
    ours = to_torch(network, device="meta").eval()
    ours.load_state_dict(reference.state_dict(), assign=True)
    with torch.no_grad():
        expected = reference(inputs.double())
        found = ours(inputs.double())
    found = found[0] if isinstance(found, tuple) else found
    expected = expected["out"] if isinstance(expected, dict) else expected
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


SAMPLE = {  # the side of the image: small, so that all kinds of blocks can be run
    "squeezenet1.1": 64,
    "resnet18": 64,
    "resnext50": 33,
    "densenet121": 47,
    "googlenet-torchvision-aux": 64,
    "inception-v3": 107,
    "mobilenet-v2": 64,
    "shufflenet-v2-0.5": 65,
    "efficientnet-b0": 65,
    "convnext-t": 64,
    "swin-t": 64,
}


@pytest.mark.parametrize("name", SAMPLE)
def test_scores_are_torchvisions(name: str) -> None:
    agrees(rfcalc.load(name), torch.rand(1, 3, SAMPLE[name], SAMPLE[name]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMED)
def test_all_scores_are_torchvisions(name: str) -> None:
    network = rfcalc.load(name)
    side = 299 if name.startswith("inception") else 224
    if name.startswith("deeplabv3"):
        side = 104
        network = zoo.build(name, side=side)
    agrees(network, torch.rand(1, 3, side, side))


def test_control_a_wrong_place_is_seen() -> None:
    network = rfcalc.load("squeezenet1.1")
    reference = shaken(theirs(network, "cpu"))
    fire = reference.features[3]  # type: ignore[index]
    fire.expand1x1, fire.expand3x3 = fire.expand1x1, nn.Conv2d(16, 64, 3, padding=1)
    ours = to_torch(network)
    ours.load_state_dict(reference.state_dict())
    with torch.no_grad():
        ours.get_parameter("features.3.expand3x3.bias").add_(0.1)
    x = torch.rand(1, 3, 64, 64)
    assert not torch.allclose(ours.eval()(x), reference.eval()(x))


# --- files -----------------------------------------------------------------------------------------------------

SMALL = Network(
    Conv(4, 3).named("conv1") >> BatchNorm().named("bn1") >> ReLU() >> Flatten() >> Linear(5).named("fc"), "1x6x6"
)


def changed(seed: int = 3) -> rfcalc.backend.NetworkModule:  # type: ignore[name-defined]
    return to_torch(SMALL, init="kaiming-fan-out", seed=seed)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_files_come_back(tmp_path: Path, ending: str) -> None:
    graph, other = changed(), changed(4)
    path = tmp_path / f"weights.{ending}"
    save_weights(graph, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    report = load_weights(other, path)
    assert len(report.loaded) == 9
    assert all(torch.equal(a, b) for a, b in zip(graph.state_dict().values(), other.state_dict().values(), strict=True))


def test_wrapped_checkpoints(tmp_path: Path) -> None:
    graph = changed()
    path = tmp_path / "checkpoint.pth"
    state = {f"module.{k}": v for k, v in graph.state_dict().items() if "num_batches" not in k}
    torch.save({"epoch": 3, "state_dict": state}, path)
    assert len(load_weights(changed(4), path).loaded) == 8


def test_meta_modules_take_the_tensors_themselves() -> None:
    graph, meta = changed(), to_torch(SMALL, device="meta")
    load_weights(meta, graph.state_dict())
    x = torch.rand(1, 1, 6, 6)
    assert torch.equal(meta.eval()(x), graph.eval()(x))
    one, two = Conv(1, 3, padding=1), Conv(1, 3, padding=2, dilation=2)
    shared = Network(rfcalc.parallel([one.shared("k"), two.shared("k")], rfcalc.Add()), "1x8x8")
    with pytest.raises(RfcalcError, match="shares weights"):
        load_weights(to_torch(shared, device="meta"), to_torch(shared).state_dict())


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    graph = changed()
    before = {k: v.clone() for k, v in graph.state_dict().items()}
    state = dict(changed(4).state_dict())
    state["fc.weight"] = torch.rand(7, 64)
    state["fc9.bias"] = state.pop("fc.bias")
    with pytest.raises(RfcalcError) as caught:
        load_weights(graph, state)
    told = str(caught.value)
    assert "fc.weight is 7x64 there, 5x64 here" in told
    assert "not in the checkpoint: fc.bias" in told
    assert "not in the network: fc9.bias" in told
    assert all(torch.equal(before[k], v) for k, v in graph.state_dict().items())
    report = load_weights(graph, state, strict=False)
    assert (report.missing, report.unexpected, len(report.mismatched)) == (("fc.bias",), ("fc9.bias",), 1)
    assert torch.equal(graph.state_dict()["conv1.weight"], state["conv1.weight"])
    report = load_weights(graph, state, classifier=False)
    assert set(report.classifier) == {"fc.weight", "fc9.bias"}


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    graph = changed()
    with pytest.raises(RfcalcError, match="no such file"):
        load_weights(graph, tmp_path / "none.pt")
    for name in ("text.pt", "text.safetensors"):
        (tmp_path / name).write_text("not weights")
        with pytest.raises(RfcalcError, match=f"(?s){name}.*this is not a"):
            load_weights(graph, tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(RfcalcError, match="not a checkpoint of tensors"):
        load_weights(graph, tmp_path / "list.pt")
    with pytest.raises(RfcalcError, match="no folder"):
        save_weights(graph, tmp_path / "none" / "weights.pt")


class Evil:
    ran = False

    def __reduce__(self) -> Any:
        return (setattr, (Evil, "ran", True))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"conv1.weight": Evil()}, path, pickle_module=pickle)
    with pytest.raises(RfcalcError, match="code in files is never run"):
        load_weights(changed(), path)
    assert not Evil.ran
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)  # control: it would have
    assert Evil.ran


def test_without_the_classifier() -> None:
    """torchvision's weights in a network of other classes, and in one without its top."""
    state = theirs(rfcalc.load("resnet18"), "cpu").state_dict()
    for network in (zoo.build("resnet18", classes=10), zoo.build("resnet18", top=False)):
        graph = to_torch(network)
        report = load_weights(graph, state, classifier=False)
        assert set(report.classifier) == {"fc.weight", "fc.bias"}
        assert torch.equal(graph.state_dict()["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    with pytest.raises(RfcalcError, match="does not fit"):
        load_weights(graph, state)


# --- beginnings ------------------------------------------------------------------------------------------------


def small_vgg(name: str) -> Network:
    """A VGG whose classifier is thin, by the names of the layers."""
    full = zoo.build(name)
    thin = {"fc6": Linear(16), "fc7": Linear(16), "fc8": Linear(10)}
    nodes = [(n.name, thin.get(n.name, n.layer), n.inputs) for n in full.nodes]
    return Network.from_nodes(nodes, "3x32x32", name=name)


def test_growing_a_deeper_vgg() -> None:
    shallow, deeper = to_torch(small_vgg("vgg11"), seed=1), to_torch(small_vgg("vgg16"), seed=2)
    new = {k: v.clone() for k, v in deeper.state_dict().items()}
    copied = grow(deeper, shallow)
    assert copied == ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")
    for key, tensor in deeper.state_dict().items():
        name = key.rpartition(".")[0]
        assert torch.equal(tensor, shallow.state_dict()[key] if name in copied else new[key]), key
    with pytest.raises(RfcalcError, match="conv1_1"):
        grow(changed(), shallow)


def test_initialisation_by_name() -> None:
    network = Network(Conv(64, 3).named("conv1") >> PReLU() >> Flatten() >> Linear(400).named("fc"), "16x8x8")
    expected = {
        "xavier-uniform": ((6 / (9 * 16 + 9 * 64)) ** 0.5 / 3**0.5, (6 / (2304 + 400)) ** 0.5 / 3**0.5),
        "kaiming-fan-out": ((2 / (9 * 64)) ** 0.5, (2 / 400) ** 0.5),
        "kaiming-fan-in": ((2 / (9 * 16)) ** 0.5, (2 / 2304) ** 0.5),
        "normal-0.01": (0.01, 0.01),
    }
    for how, stds in expected.items():
        graph = to_torch(network, init=how, seed=5)
        again = to_torch(network, init=how, seed=5)
        for name, std in zip(("conv1", "fc"), stds, strict=True):
            weight = graph.module(name).weight
            assert weight.std().item() == pytest.approx(std, rel=0.03), how
            assert torch.equal(weight, again.module(name).weight)
            assert not graph.module(name).bias.any()
        assert graph.module("prelu1").weight.unique().tolist() == [0.25]
    assert not torch.equal(weight, to_torch(network, init=how, seed=6).module("fc").weight)
    with pytest.raises(LayerError, match="xavier-uniform"):
        to_torch(network, init="xavier")


def test_the_papers_initialisation() -> None:
    vgg = to_torch(small_vgg("vgg11"), init="paper", seed=0)
    assert vgg.module("conv2_1").weight.std().item() == pytest.approx(0.1, rel=0.01)
    alexnet = to_torch(zoo.build("alexnet", classes=10, top=False), init="paper", seed=0)
    assert alexnet.module("conv3").weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert [alexnet.module(f"conv{i}").bias.unique().tolist() for i in (1, 2, 3)] == [[0.0], [1.0], [0.0]]
    with pytest.raises(RfcalcError, match="paper"):
        initialise(changed(), "paper")


def test_a_seed_leaves_other_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    one, two = to_torch(SMALL, seed=9), to_torch(SMALL, seed=9)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.module("fc").weight, two.module("fc").weight)


# --- whole images ----------------------------------------------------------------------------------------------


def test_dense_evaluation() -> None:
    graph = to_torch(small_vgg("vgg11"), seed=1).double().eval()
    whole = dense(graph)
    assert whole.state_dict()["fc6.weight"].shape == (16, 512, 1, 1)
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(whole(x)[:, :, 0, 0], graph(x))
    torch.testing.assert_close(flat(whole, graph.network)(x), graph(x))
    larger = torch.rand(1, 3, 96, 64, dtype=torch.float64)
    found = scores(whole, larger)
    assert found.map.shape == (1, 10, 3, 2)
    torch.testing.assert_close(found.mean, found.map.mean((2, 3)))
    mirrored = whole(larger.flip(-1)).mean((2, 3)).softmax(1)
    torch.testing.assert_close(found.probabilities, (found.mean.softmax(1) + mirrored) / 2)
    torch.testing.assert_close(scores(whole, larger, mirror=False).probabilities, found.mean.softmax(1))
    with pytest.raises(RfcalcError, match="no map of scores"):
        scores(graph, x)
    with pytest.raises(RfcalcError, match="fully connected"):
        dense(to_torch(Network(Conv(2, 3), "1x8x8")))


def test_dense_networks_at_their_own_size() -> None:
    """On meta tensors: VGG-16 with and without torchvision's pool, AlexNet; one score map of the larger image."""
    for name, side, larger in (("vgg16", 224, (9, 13)), ("vgg16-torchvision", 224, (9, 13)), ("alexnet", 227, None)):
        network = dense_network(rfcalc.load(name))
        graph = to_torch(network, device="meta")
        assert counts(graph) == counts(to_torch(rfcalc.load(name), device="meta"))
        assert graph(torch.empty(1, 3, side, side, device="meta")).shape == (1, 1000, 1, 1)
        if larger is not None:
            image = torch.empty(1, 3, 32 * (larger[0] + 6), 32 * (larger[1] + 6), device="meta")
            assert graph(image).shape == (1, 1000, *larger)


@pytest.mark.exhaustive
def test_dense_evaluation_of_vgg_at_224() -> None:
    graph = to_torch(rfcalc.load("vgg16"), init="kaiming-fan-out", seed=1).eval()
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(dense(graph)(x)[:, :, 0, 0], graph(x), rtol=1e-4, atol=1e-4)
        assert scores(dense(graph), torch.rand(1, 3, 256, 320)).map.shape == (1, 1000, 2, 4)
