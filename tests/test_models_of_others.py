"""Models written by others, against PyTorch's parameters and FLOP counter: a sample; all of them with -m exhaustive."""

from __future__ import annotations

from collections import Counter

import pytest
from agree import agree
from model_lists import timm_families, timm_model, timm_sample, torchvision_model, torchvision_names
from reading import built, verdict
from seen import fields
from torch import nn

import rfcalc

pytestmark = pytest.mark.filterwarnings("ignore")

# one small model of every family
TORCHVISION = [
    *(
        "alexnet",
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "googlenet",
        "inception_v3",
        "maxvit_t",
        "mnasnet0_5",
    ),
    *("mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5"),
    *("squeezenet1_1", "swin_v2_t", "vgg11_bn", "vit_b_32", "deeplabv3_mobilenet_v3_large"),
    "lraspp_mobilenet_v3_large",
]
TIMM = [
    *("mixer_s32_224", "resmlp_12_224", "convmixer_768_32", "poolformer_s12", "edgenext_xx_small", "mobilevit_xxs"),
    *("levit_128s", "pit_ti_224", "xcit_nano_12_p16_224", "deit_tiny_patch16_224", "repvgg_a0"),
    *("ghostnet_050", "hrnet_w18_small", "dla34", "resnetv2_50", "nf_resnet26", "tresnet_m", "selecsls42b"),
    *("tf_efficientnet_b0", "mobilenetv3_small_050", "regnetx_002", "vovnet39a", "swin_tiny_patch4_window7_224"),
]

# units of these are in many boxes, which take most of a minute: compared with -m exhaustive
LONG = ("maxvit_t", "swin_v2_t", "swin_tiny_patch4_window7_224", "tresnet_m", "mobilevit_xxs")


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    make, shape = torchvision_model(name)
    found = verdict(built(make), shape)
    assert found.exact, (found.params, found.macs, found.theirs)
    assert found.read.complete
    if name not in LONG:
        agree(rfcalc.analyze(found.read), Counter(), nodes=2, units=1)


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    make, shape = timm_model(name)
    found = verdict(built(make), shape)
    assert found.exact, (found.params, found.macs, found.theirs)
    assert found.read.complete
    if name not in LONG:
        agree(rfcalc.analyze(found.read), Counter(), nodes=2, units=1)


def test_the_lists_are_long_enough() -> None:
    assert set(TORCHVISION) <= set(torchvision_names())
    assert len(torchvision_names()) >= 86
    sample = timm_sample(4)
    assert len(sample) >= 300
    assert {f for f, names in timm_families().items() if set(names) & set(sample)} == set(timm_families())


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", torchvision_names())
def test_all_of_torchvision(name: str) -> None:
    make, shape = torchvision_model(name)
    found = verdict(built(make), shape)
    assert found.exact, (found.params, found.macs, found.theirs)
    assert found.read.complete
    agree(rfcalc.analyze(found.read), Counter(), nodes=2, units=1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", timm_sample(4))
def test_many_of_timm(name: str) -> None:
    """Exact where everything is understood; see docs/read-models.md for what is not."""
    make, shape = timm_model(name)
    found = verdict(built(make), shape)
    assert found.exact or not found.read.complete, (found.params, found.macs, found.theirs)
    agree(rfcalc.analyze(found.read), Counter(), nodes=2, units=1)


# --- receptive fields --------------------------------------------------------------------------------------------

SEEN = ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "googlenet"]


@pytest.mark.parametrize("name", SEEN)
def test_receptive_fields_by_the_gradient_of_the_model_itself(name: str) -> None:
    """The pixels of units all over the model; see docs/read-fields.md for more models."""
    make, shape = torchvision_model(name)
    found = fields(make().eval(), shape)
    assert not found.differ
    assert (found.nodes, found.units) == (4, 8)


def test_control_a_wrong_field_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = nn.Sequential(nn.Conv2d(1, 2, 3, padding=2, dilation=2), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3))
    assert not fields(right, "1x16x16").differ
    read = rfcalc.from_torch(
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3)), "1x16x16"
    )
    monkeypatch.setattr(rfcalc, "from_torch", lambda module, inputs: read)
    assert fields(right, "1x16x16").differ
