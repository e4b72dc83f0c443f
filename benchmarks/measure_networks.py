"""Measures the real models, once, by hand: writes tests/data/networks.json, which the tests compare the zoo with.

Not run by the tests: it needs torch, torchvision, timm, transformers, pytorchcv, pretrainedmodels and keras. Each entry
says where its figures come from. Run: python benchmarks/measure_networks.py [name …]

Figures of a model: trainable parameters; buffers (running statistics); multiply-adds of convolutions and linear
layers by hooks (by torch's flop counter where there is attention); and, for every convolution and linear layer that
ran, how many parameters it has and what shape it put out.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from datetime import date
from functools import partial
from importlib import metadata, util
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch
from torch import nn

HERE = Path(__file__).parent
OUT = HERE.parent / "tests" / "data" / "networks.json"
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED, nn.Linear)


def declare_operators() -> None:
    """Declare torchvision's own operators, which are compiled for CUDA only, so that its models import."""
    library = torch.library.Library("torchvision", "DEF")
    for text in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "roi_align(Tensor a, Tensor b, float c, int d, int e, int f, bool g) -> Tensor",
        "roi_pool(Tensor a, Tensor b, float c, int d, int e) -> (Tensor, Tensor)",
        "ps_roi_align(Tensor a, Tensor b, float c, int d, int e, int f) -> (Tensor, Tensor)",
        "ps_roi_pool(Tensor a, Tensor b, float c, int d, int e) -> (Tensor, Tensor)",
        "deform_conv2d(Tensor a, Tensor b, Tensor c, Tensor d, Tensor e, int f, int g, int h, int i, int j, int k, "
        "int l, int m, bool n) -> Tensor",
    ):
        library.define(text)
    globals()["_library"] = library


declare_operators()


def macs_of(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> int:
    if isinstance(module, nn.LSTM):  # one direction, every weight at each position of a batch of one
        return sum(w.numel() for w in module.parameters() if w.dim() == 2) * y[0].numel() // module.hidden_size
    if isinstance(module, nn.Linear):
        return module.in_features * y.numel()
    kernel = module.weight[0, 0].numel()
    if isinstance(module, TRANSPOSED):
        return kernel * x.numel() * module.out_channels // module.groups
    return kernel * (module.in_channels // module.groups) * y.numel()


def measure(model: nn.Module, shape: tuple[int, ...], train: bool = False) -> dict:
    """The figures of a model for one input."""
    model.train(train)
    seen: list[tuple[nn.Module, int, list[int], int]] = []

    def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        params = sum(p.numel() for p in module.parameters(recurse=False))
        seen.append((module, params, list(output.shape[1:]), macs_of(module, inputs[0], output)))

    def walked(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        cells.append(macs_of(module, inputs[0], output))

    cells: list[int] = []  # of recurrent layers, which are one here and may be several in the zoo
    hooks = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, COUNTED)]
    hooks += [m.register_forward_hook(walked) for m in model.modules() if isinstance(m, nn.LSTM)]
    with torch.no_grad():
        output = model(torch.zeros(2 if train else 1, *shape))
    for h in hooks:
        h.remove()
    macs = (sum(m for *_, m in seen) + sum(cells)) // (2 if train else 1)
    return {
        "input": list(shape),
        "params": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "buffers": sum(b.numel() for n, b in model.named_buffers() if n.endswith(("running_mean", "running_var"))),
        "macs": macs,
        "layers": layers([(p, s) for _, p, s, _ in seen]),
        "output": [list(t.shape[1:]) for t in _tensors(output)],
    }


def layers(found: list[tuple[int, list[int]]]) -> dict[str, int]:
    """How often each (parameters, output shape) occurs; two axes of equal size are not told apart by their order."""
    return dict(sorted(Counter(f"{p} {'x'.join(map(str, s))}" for p, s in found).items()))


def _tensors(output: object) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    return [t for v in values if v is not None for t in _tensors(v)]


def attention_macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Half of what torch's flop counter says, on meta tensors, where it counts attention."""
    from torch.utils.flop_counter import FlopCounterMode

    meta = model.to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta(torch.zeros(1, *shape, device="meta"))
    return counter.get_total_flops() // 2


def version(package: str) -> str:
    return f"{package} {metadata.version(package).split('+')[0]}"


def biases_kept(model: nn.Module) -> nn.Module:
    """The model as it runs once it is trained: Swin V2's position biases are made once, not at each reading."""
    for part in model.modules():
        if hasattr(part, "cpb_mlp"):
            part.get_relative_position_bias = partial(
                torch.zeros, part.get_relative_position_bias().shape, device="meta"
            )
    return model


def torchvision_model(name: str, shape: tuple[int, ...] = (3, 224, 224), **options: object) -> dict:
    import torchvision

    make = getattr(torchvision.models, name, None) or getattr(torchvision.models.segmentation, name)
    found = measure(make(weights=None, **options), shape)
    if name.startswith(("vit", "swin")):
        found["macs"] = attention_macs(biases_kept(make(weights=None, **options)), shape)
        del found["layers"]  # its attention is one layer here and several there
    return {"source": f"{version('torchvision')} {name}", **found}


def aux_model(name: str, shape: tuple[int, ...]) -> dict:
    import torchvision

    made = getattr(torchvision.models, name)(weights=None, aux_logits=True, init_weights=False)
    return {"source": f"{version('torchvision')} {name}, aux_logits", **measure(made, shape, train=True)}


def timm_model(name: str, shape: tuple[int, ...] = (3, 224, 224), **options: object) -> dict:
    import timm

    made = timm.create_model(name, pretrained=False, **options)
    return {"source": f"{version('timm')} {name} {options or ''}".strip(), **measure(made, shape)}


def cv_model(name: str, shape: tuple[int, ...] = (3, 224, 224)) -> dict:
    from pytorchcv.model_provider import get_model

    return {"source": f"{version('pytorchcv')} {name}", **measure(get_model(name, pretrained=False), shape)}


def keras_model(name: str, shape: tuple[int, ...], **options: object) -> dict:
    """Parameters and output shapes of a keras.applications model (it runs on torch; nothing is computed)."""
    import keras

    size = (*shape[1:], shape[0])
    if name == "NASNet":  # its two names refuse PyTorch beneath Keras; this is what they call
        from keras.src.applications.nasnet import NASNet

        model = NASNet(size, weights=None, default_size=size[0], skip_reduction=False, classes=1000, **options)
    else:
        model = getattr(keras.applications, name)(weights=None, input_shape=size, **options)
    found, macs = [], 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind not in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense"):
            continue
        out = tuple(layer.output.shape[1:])
        place = [out[-1], *out[:-1]]
        weights = [tuple(w.shape) for w in layer.weights]
        positions = out[0] * out[1] if len(out) == 3 else 1
        macs += sum(_prod(w) for w in weights if len(w) > 1) * positions
        if kind == "SeparableConv2D":  # two layers here: depthwise with the stride, then 1×1
            depthwise = weights.pop(0)
            found.append((_prod(depthwise), [depthwise[2] * depthwise[3], *place[1:]]))
        found.append((sum(_prod(w) for w in weights), place))
    trainable = sum(_prod(w.shape) for w in model.trainable_weights)
    buffers = sum(_prod(w.shape) for w in model.non_trainable_weights)
    figures = {"input": list(shape), "params": trainable, "buffers": buffers, "macs": macs, "layers": layers(found)}
    return {"source": f"{version('keras')} {name} {options or ''}".strip(), **figures}


def _prod(values: tuple[int, ...]) -> int:
    found = 1
    for v in values:
        found *= int(v)
    return found


def tcn_model() -> dict:
    from pytorch_tcn import TCN

    model = TCN(1, [25] * 8, kernel_size=7, dilations=[2**i for i in range(8)], use_norm=None, activation="relu")
    return {"source": f"{version('pytorch-tcn')} TCN(1, [25] * 8, 7)", **measure(model, (1, 784))}


def written_names() -> list[str]:
    sys.path.insert(0, str(HERE))
    from package_signals import NETWORKS as SIGNALS
    from written_more_networks import NETWORKS as MORE
    from written_networks import NETWORKS

    return [*NETWORKS, *MORE, *SIGNALS]


def written(name: str) -> dict:
    """Modules written out in torch after the source that is named there, without rfcalc."""
    from package_signals import NETWORKS as SIGNALS
    from written_more_networks import NETWORKS as MORE
    from written_networks import NETWORKS

    made, shape, source = (NETWORKS | MORE | SIGNALS)[name]()
    return {"source": f"torch {torch.__version__.split('+')[0]}, {source}", **measure(made, shape)}


def fpn_model(depth: int, three: bool) -> dict:
    from collections import OrderedDict

    import torchvision
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.ops import FeaturePyramidNetwork
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            body = getattr(torchvision.models, f"resnet{depth}")(weights=None)
            self.body = IntermediateLayerGetter(body, {f"layer{i}": str(i) for i in (1, 2, 3, 4)})
            self.fpn = FeaturePyramidNetwork(
                [64, 128, 256, 512] if depth == 18 else [256, 512, 1024, 2048], 256, extra_blocks=LastLevelMaxPool()
            )
            if three:
                self.fpn.layer_blocks[3] = nn.Identity()

        def forward(self, x: torch.Tensor) -> OrderedDict:
            return self.fpn(self.body(x))

    return {
        "source": f"{version('torchvision')} FeaturePyramidNetwork" + (", P5 not smoothed" if three else ""),
        **measure(Pyramid(), (3, 256, 320)),
    }


def deit_model(size: str, distilled: bool) -> dict:
    import timm

    name = f"deit_{size}_{'distilled_' if distilled else ''}patch16_224"
    found = timm_model(name)
    found["macs"] = attention_macs(timm.create_model(name, pretrained=False), (3, 224, 224))
    del found["layers"]  # its attention is one layer here and several there
    return found


def video_model(name: str) -> dict:
    from torchvision.models import video

    return {"source": f"{version('torchvision')} {name}", **measure(getattr(video, name)(), (3, 16, 112, 112))}


class Scores(nn.Module):
    """What a detector of torchvision computes before it chooses boxes: of every level, scores and boxes."""

    def __init__(self, made: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = made.backbone, made.head

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = list(self.backbone(x).values())
        if hasattr(self.head.classification_head, "module_list"):  # SSD's: two convolutions for every map
            heads = (self.head.classification_head, self.head.regression_head)
            return [head.module_list[i](m) for i, m in enumerate(maps) for head in heads]
        found = []
        for m in maps:
            one, two = self.head.classification_head, self.head.regression_head
            found += [one.cls_logits(one.conv(m)), two.bbox_reg(two.conv(m))]
        return found


def detector(name: str, shape: tuple[int, ...]) -> dict:
    from torchvision.models import detection

    more = {} if name.startswith("ssd") else {"trainable_backbone_layers": 5}
    made = getattr(detection, name)(weights=None, weights_backbone=None, **more)
    return {"source": f"{version('torchvision')} {name}, before it chooses boxes", **measure(Scores(made), shape)}


def wav2vec2_model() -> dict:
    from transformers.models.wav2vec2 import modeling_wav2vec2 as code
    from transformers.models.wav2vec2.configuration_wav2vec2 import Wav2Vec2Config

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = code.Wav2Vec2FeatureEncoder(Wav2Vec2Config())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.encoder(x[:, 0])

    return {"source": f"{version('transformers')} Wav2Vec2FeatureEncoder", **measure(Encoder(), (1, 16000))}


def regnet_name(name: str) -> str:
    """x-1600mf is torchvision's regnet_x_1_6gf."""
    return "regnet_" + name.replace("-", "_").replace("1600mf", "1_6gf").replace("3200mf", "3_2gf")


MNASNETS = {"-0.5": "mnasnet0_5", "-0.75": "mnasnet0_75", "": "mnasnet1_0", "-1.3": "mnasnet1_3"}
REGNETS = [f"{k}-{n}" for k in "xy" for n in ("400mf", "800mf", "1600mf", "3200mf", "8gf", "16gf", "32gf")]
NETWORKS = {
    **{name: partial(written, name) for name in written_names()},
    **{f"vgg{n}-torchvision": lambda n=n: torchvision_model(f"vgg{n}") for n in (11, 13, 16, 19)},
    **{f"vgg{n}-bn": lambda n=n: torchvision_model(f"vgg{n}_bn") for n in (11, 13, 16, 19)},
    **{f"resnet{n}": lambda n=n: torchvision_model(f"resnet{n}") for n in (18, 34, 50, 101, 152)},
    "resnet50-v1": lambda: cv_model("resnet50"),
    "resnet101-v1": lambda: cv_model("resnet101"),
    "resnet152-v1": lambda: cv_model("resnet152"),
    "resnext50": lambda: torchvision_model("resnext50_32x4d"),
    "resnext101": lambda: torchvision_model("resnext101_32x8d"),
    "wide-resnet50-2": lambda: torchvision_model("wide_resnet50_2"),
    "wide-resnet101-2": lambda: torchvision_model("wide_resnet101_2"),
    **{f"se-resnet{n}": lambda n=n: timm_model(f"seresnet{n}") for n in (50, 101, 152)},
    "alexnet-torchvision": lambda: torchvision_model("alexnet"),
    "nin-cifar": lambda: cv_model("nin_cifar10", (3, 32, 32)),
    "zfnet": lambda: cv_model("zfnet"),
    "googlenet-torchvision": lambda: torchvision_model("googlenet", aux_logits=False, init_weights=False),
    "googlenet-torchvision-aux": lambda: aux_model("googlenet", (3, 224, 224)),
    "bn-inception-caffe": lambda: pretrained_bninception(),
    "inception-v3": lambda: torchvision_model("inception_v3", (3, 299, 299), aux_logits=False, init_weights=False),
    "inception-v3-aux": lambda: aux_model("inception_v3", (3, 299, 299)),
    "nasnet-a-mobile": lambda: keras_model(
        "NASNet", (3, 224, 224), penultimate_filters=1056, num_blocks=4, stem_block_filters=32
    ),
    "nasnet-a-large": lambda: keras_model(
        "NASNet", (3, 331, 331), penultimate_filters=4032, num_blocks=6, stem_block_filters=96
    ),
    "mobilenet-v1": lambda: keras_model("MobileNet", (3, 224, 224)),
    "mobilenet-v1-0.75": lambda: keras_model("MobileNet", (3, 224, 224), alpha=0.75),
    "mobilenet-v1-0.5": lambda: keras_model("MobileNet", (3, 160, 160), alpha=0.5),
    "mobilenet-v1-0.25": lambda: keras_model("MobileNet", (3, 128, 128), alpha=0.25),
    "mobilenet-v2": lambda: torchvision_model("mobilenet_v2"),
    "mobilenet-v2-1.4": lambda: keras_model("MobileNetV2", (3, 224, 224), alpha=1.4),
    "mobilenet-v2-0.75": lambda: torchvision_model("mobilenet_v2", width_mult=0.75),
    "mobilenet-v2-0.5": lambda: torchvision_model("mobilenet_v2", width_mult=0.5),
    "mobilenet-v2-0.35": lambda: keras_model("MobileNetV2", (3, 224, 224), alpha=0.35),
    **{f"densenet{n}": lambda n=n: torchvision_model(f"densenet{n}") for n in (121, 161, 169, 201)},
    "densenet-bc-100-k12-cifar": lambda: cv_model("densenet100_k12_bc_cifar10", (3, 32, 32)),
    "densenet-bc-190-k40-cifar": lambda: cv_model("densenet190_k40_bc_cifar10", (3, 32, 32)),
    "densenet-bc-250-k24-cifar": lambda: cv_model("densenet250_k24_bc_cifar10", (3, 32, 32)),
    "squeezenet1.0": lambda: torchvision_model("squeezenet1_0"),
    "squeezenet1.1": lambda: torchvision_model("squeezenet1_1"),
    "shufflenet-v2": lambda: torchvision_model("shufflenet_v2_x1_0"),
    "shufflenet-v2-0.5": lambda: torchvision_model("shufflenet_v2_x0_5"),
    "shufflenet-v2-1.5": lambda: torchvision_model("shufflenet_v2_x1_5"),
    "shufflenet-v2-2.0": lambda: torchvision_model("shufflenet_v2_x2_0"),
    "xception": lambda: timm_model("legacy_xception", (3, 299, 299)),
    **{
        f"efficientnet-b{n}": lambda n=n, s=s: torchvision_model(f"efficientnet_b{n}", (3, s, s))
        for n, s in ((0, 224), (1, 240), (2, 260), (3, 300), (4, 380), (5, 456), (6, 528), (7, 600))
    },
    **{
        f"efficientnet-v2-{n}": lambda n=n, s=s: torchvision_model(f"efficientnet_v2_{n}", (3, s, s))
        for n, s in (("s", 384), ("m", 480), ("l", 480))
    },
    **{f"mobilenet-v3-{n}": lambda n=n: torchvision_model(f"mobilenet_v3_{n}") for n in ("large", "small")},
    **{f"mobilenet-v4-{n}": lambda n=n: timm_model(f"mobilenetv4_conv_{n}") for n in ("small", "medium", "large")},
    **{f"mnasnet{w}": lambda n=n: torchvision_model(n) for w, n in MNASNETS.items()},
    **{f"regnet-{n}": lambda n=n: torchvision_model(regnet_name(n)) for n in REGNETS},
    **{n: partial(timm_model, n.replace("-", "_"), (3, 299, 299)) for n in ("inception-v4", "inception-resnet-v2")},
    **{f"hrnet-w{n}": lambda n=n: timm_model(f"hrnet_w{n}") for n in (18, 32, 48)},
    "r3d-18": lambda: video_model("r3d_18"),
    "r2plus1d-18": lambda: video_model("r2plus1d_18"),
    "ssd300-vgg16": lambda: detector("ssd300_vgg16", (3, 300, 300)),
    "retinanet-resnet50": lambda: detector("retinanet_resnet50_fpn", (3, 512, 512)),
    "wav2vec2-encoder": lambda: wav2vec2_model(),
    "ghostnet": lambda: timm_model("ghostnet_100"),
    **{
        f"deit-{n[0] if n != 'tiny' else 'ti'}{'-distilled' if d else ''}": partial(deit_model, n, d)
        for n in ("tiny", "small", "base")
        for d in (False, True)
    },
    **{f"fcn-resnet{n}": lambda n=n: deeplab_model(f"fcn_resnet{n}") for n in (50, 101)},
    **{f"se-resnet{n}-v1": lambda n=n: cv_model(f"seresnet{n}") for n in (50, 101, 152)},
    **{
        f"convnext-v2-{n}": lambda n=n: timm_model(f"convnextv2_{n}", conv_mlp=False)  # as the authors' code is
        for n in ("atto", "femto", "pico", "nano", "tiny", "base", "large", "huge")
    },
    **{f"convnext-{n[0]}": lambda n=n: torchvision_model(f"convnext_{n}") for n in ("tiny", "small", "base", "large")},
    **{
        f"vit-{n}-{p}": lambda n=n, p=p: torchvision_model(f"vit_{n}_{p}")
        for n, p in (("b", 16), ("b", 32), ("l", 16), ("l", 32), ("h", 14))
    },
    **{f"swin-{n}": lambda n=n: torchvision_model(f"swin_{n}") for n in ("t", "s", "b")},
    **{f"swin-v2-{n}": lambda n=n: torchvision_model(f"swin_v2_{n}", (3, 256, 256)) for n in ("t", "s", "b")},
    **{f"fpn-resnet{n}": partial(fpn_model, n, False) for n in (18, 50, 101)},
    **{f"fpn-resnet{n}-three": partial(fpn_model, n, True) for n in (18, 50, 101)},
    "deeplab-resnet50": lambda: deeplab_backbone(50, 8),
    "deeplab-resnet50-os16": lambda: deeplab_backbone(50, 16),
    "deeplab-resnet101": lambda: deeplab_backbone(101, 8),
    "deeplab-resnet101-os16": lambda: deeplab_backbone(101, 16),
    "deeplabv3-resnet50": lambda: deeplab_model("deeplabv3_resnet50"),
    "deeplabv3-resnet101": lambda: deeplab_model("deeplabv3_resnet101"),
    "tcn": tcn_model,
}


def pretrained_bninception() -> dict:
    spec = util.find_spec("pretrainedmodels")
    path = Path(spec.submodule_search_locations[0]) / "models" / "bninception.py"
    loaded = util.spec_from_file_location("bninception", path)
    module = util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    made = module.BNInception(num_classes=1000)
    return {"source": f"{version('pretrainedmodels')} bninception", **measure(made, (3, 224, 224))}


def deeplab_backbone(depth: int, stride: int) -> dict:
    import torchvision

    dilated = [False, stride == 8, True]
    made = getattr(torchvision.models, f"resnet{depth}")(weights=None, replace_stride_with_dilation=dilated)
    made.avgpool, made.fc = nn.Identity(), nn.Identity()
    source = f"{version('torchvision')} resnet{depth}, replace_stride_with_dilation={dilated}"
    found = measure(made, (3, 224, 224))
    del found["output"]  # flattened there
    return {"source": source, **found}


def deeplab_model(name: str) -> dict:
    import torchvision

    made = getattr(torchvision.models.segmentation, name)(weights=None, weights_backbone=None)
    return {"source": f"{version('torchvision')} {name}", **measure(made, (3, 520, 520))}


def main(chosen: list[str]) -> None:
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in chosen or NETWORKS:
        try:
            found = NETWORKS[name]()
        except Exception as error:
            print(f"{name}: {type(error).__name__} {error}", flush=True)
            continue
        known[name] = {"measured": date.today().isoformat(), **found}
        print(f"{name}: {found['params']:,} {found['macs']:,}", flush=True)
        OUT.parent.mkdir(exist_ok=True)
        lines = [f" {json.dumps(n)}: {json.dumps(known[n])}" for n in sorted(known)]
        OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
