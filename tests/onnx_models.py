"""PyTorch models written by others, exported to ONNX, and what PyTorch itself counts of them."""

from __future__ import annotations

import io
import logging
import warnings
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

torch.set_num_threads(1)

_missing = torch.library.Library("torchvision", "FRAGMENT")
for _definition in (  # compiled operators that a torchvision without them leaves undeclared
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
):
    if not hasattr(torch.ops.torchvision, _definition.partition("(")[0]):
        _missing.define(_definition)

import torchvision  # noqa: E402


class Counted(NamedTuple):
    """What PyTorch says of a module."""

    params: int
    folded: int  # parameters once every batch normalisation behind a convolution is folded into it
    macs: int


class Output(torch.nn.Module):
    """The first result of a segmentation network, without its auxiliary head."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        model.aux_classifier = None
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)["out"]


def build(name: str, **options: Any) -> torch.nn.Module:
    """A torchvision model with random weights, in evaluation mode; biases and statistics are drawn too."""
    torch.manual_seed(0)
    segments = name in torchvision.models.list_models(torchvision.models.segmentation)
    if segments:
        options["weights_backbone"] = None
    if name in ("inception_v3", "googlenet"):
        options |= {"init_weights": False, "aux_logits": False}
    model = torchvision.models.get_model(name, weights=None, **options)
    return randomised(Output(model) if segments else model)


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """The model with values that no exporter can take for equal or absent."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point() and tensor.dim() < 2:
                tensor.uniform_(0.5, 1.5)
    return model.eval()


def exported(model: torch.nn.Module, *shape: int, dynamo: bool = False, folded: bool = False, **more: Any) -> bytes:
    """The model's file; `folded`: as the exporter makes it by default, else with batch normalisation as it is."""
    file = io.BytesIO()
    x = torch.zeros(1, *shape, dtype=next((p.dtype for p in model.parameters()), None))
    if not dynamo and not folded:
        more |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    if dynamo:
        more |= {"optimize": folded, "verbose": False}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings()
    ):  # with gradients: without them attention becomes an operator that cannot be exported
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(model, (x,), dynamo=True, **more)
            assert program is not None
            program.save(file)
        else:
            torch.onnx.export(model, (x,), file, dynamo=False, **more)
    return file.getvalue()


def counted(model: torch.nn.Module, *shape: int) -> Counted:
    """Parameters and multiply-adds by PyTorch's own counter."""
    bare = deepcopy(model).to("meta")  # on a CPU the counter does not see attention
    made: dict[int, torch.Tensor] = {}  # by convolutions; kept, so that no other tensor gets their identity
    behind: dict[str, int] = {}  # normalisations right behind one, and their features: others cannot be folded

    def after(module: torch.nn.Module, given: Any, out: Any) -> None:
        if isinstance(module, torch.nn.Conv2d):
            made[id(out)] = out

    for name, module in bare.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):

            def before(module: torch.nn.Module, given: Any, name: str = name) -> None:
                if id(given[0]) in made:
                    behind[name] = module.num_features

            module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
    with FlopCounterMode(display=False) as counter:
        bare(torch.zeros(1, *shape, device="meta", dtype=next((p.dtype for p in model.parameters()), None)))
    params = sum(p.numel() for p in model.parameters())
    return Counted(params, params - sum(behind.values()), counter.get_total_flops() // 2)
