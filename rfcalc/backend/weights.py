"""Weights from files and back: torchvision's checkpoints, safetensors, without the classifier; growing a deeper VGG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rfcalc.backend.graph import NetworkModule
from rfcalc.core.atomic import draft
from rfcalc.core.errors import MissingExtra, RfcalcError
from rfcalc.graph.forward import forward, shapes_of_inputs

WRAPPED = ("state_dict", "model", "model_state_dict")  # under which training scripts put the weights
HEADS = ("classifier", "fc", "head", "heads")  # what torchvision's models call their classifiers


class LoadedWeights(NamedTuple):
    """What a checkpoint gave: names of tensors that were loaded, that the checkpoint lacks, that the module lacks, that
    differ in shape (name, the checkpoint's, the module's), and that were left out with the classifier."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    classifier: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} tensors loaded"]
        if self.classifier:
            lines.append(f"{len(self.classifier)} of the classifier left out")
        if self.missing:
            lines.append(f"not in the checkpoint: {_some(self.missing)}")
        if self.unexpected:
            lines.append(f"not in the network: {_some(self.unexpected)}")
        told = [f"{name} is {_shape(theirs)} there, {_shape(ours)} here" for name, theirs, ours in self.mismatched]
        return "\n".join(lines + [f"of another shape: {_some(told)}"] * bool(told))


def load_weights(
    module: nn.Module, file: str | Path | Mapping[str, Tensor], *, strict: bool = True, classifier: bool = True
) -> LoadedWeights:
    """Load a checkpoint: a file of PyTorch's (read with ``weights_only=True``) or safetensors, or a state dict.

    Nothing is changed unless all that is to be loaded fits. Step counters of batch normalisation may be missing. A
    module on meta tensors takes the file's tensors as its own; what the file lacks stays on meta.

    >>> from rfcalc import Conv, Network, to_torch
    >>> graph = to_torch(Network(Conv(2, 3), "1x8x8"))
    >>> print(load_weights(graph, graph.state_dict()))
    2 tensors loaded

    Args:
        module: what the weights are for.
        file: path, or names and tensors.
        strict: refuse a checkpoint that does not fit exactly; else load what fits, and tell the rest.
        classifier: False leaves the classifier as it is: the layers on flat vectors (and what torchvision calls
            classifier, fc or head), so that a network of other classes, or without its top, takes the rest.

    Raises:
        RfcalcError: no such file, not a checkpoint, or (strict) one that does not fit.
        MissingExtra: safetensors is not installed.
    """
    given = dict(file) if isinstance(file, Mapping) else read(Path(file))
    where = "the state dict" if isinstance(file, Mapping) else str(file)
    own = module.state_dict(keep_vars=True)
    left: tuple[str, ...] = ()
    if not classifier:
        top = _classifier(module, own)
        roots = {name.partition(".")[0] for name in own}
        above = {name for name in given if name.partition(".")[0] not in roots}
        left = tuple(name for name in given if name in top or name in above)
        given = {name: tensor for name, tensor in given.items() if name not in left}
        own = {name: tensor for name, tensor in own.items() if name not in top}
    found = _compared(own, given)._replace(classifier=left)
    if strict and (found.missing or found.unexpected or found.mismatched):
        raise RfcalcError(
            "the checkpoint does not fit the network",
            where=where,
            why="\n".join(str(found).split("\n")[1:]),
            fix="load it into its own network, or use strict=False (what fits) or classifier=False",
        )
    if not found.loaded:
        raise RfcalcError("nothing of the checkpoint fits the network", where=where, why=str(found))
    if any(own[name].is_meta for name in found.loaded):
        _put(module, {name: given[name] for name in found.loaded}, own)
        return found
    with torch.no_grad():
        for name in found.loaded:
            own[name].copy_(given[name])
    return found


def _put(module: nn.Module, given: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Let a module on meta tensors have the given tensors themselves: nothing is allocated twice.

    Raises:
        RfcalcError: two of its tensors are one, which this would undo.
    """
    if len({id(tensor) for tensor in own.values()}) < len(own):
        raise RfcalcError(
            "a network that shares weights cannot be loaded on meta tensors", fix='make it with device="cpu"'
        )
    module.load_state_dict(given, strict=False, assign=True)


def _compared(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> LoadedWeights:
    fit, missing, mismatched = [], [], []
    for name, tensor in own.items():
        if name not in given:
            if not name.endswith("num_batches_tracked"):
                missing.append(name)
        elif given[name].shape != tensor.shape:
            mismatched.append((name, tuple(given[name].shape), tuple(tensor.shape)))
        else:
            fit.append(name)
    unexpected = tuple(name for name in given if name not in own)
    return LoadedWeights(tuple(fit), tuple(missing), unexpected, tuple(mismatched))


def _classifier(module: nn.Module, own: Mapping[str, Tensor]) -> set[str]:
    """The tensors of layers on flat vectors, and of what torchvision calls the classifier."""
    top = {name for name in own if name.partition(".")[0] in HEADS}
    if isinstance(module, NetworkModule):
        network = module.network
        walked = forward(network, shapes_of_inputs(network, module.shapes))
        for node, shape in zip(network.nodes, walked.shapes[network.arity :], strict=True):
            path = module.paths.get(node.name)
            if shape.rank == 0 and path is not None:
                top |= {name for name in own if name.startswith(f"{path}.")}
    return top


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file.

    Raises:
        RfcalcError: no such file, or not a checkpoint of tensors only.
        MissingExtra: safetensors is not installed.
    """
    if not path.is_file():
        raise RfcalcError("there is no such file", where=str(path))
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError:
            raise MissingExtra("safetensors", "torch") from None
        try:
            return dict(load_file(path))
        except Exception as error:
            raise RfcalcError("this is not a safetensors file", where=str(path), why=str(error)) from None
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RfcalcError(
            "this is not a checkpoint of tensors",
            where=str(path),
            why=str(error).strip().split("\n")[0],
            fix="save a state_dict: torch.save(model.state_dict(), file); code in files is never run",
        ) from None
    if isinstance(found, Mapping):
        for key in WRAPPED:
            if isinstance(found.get(key), Mapping):
                found = found[key]
                break
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise RfcalcError("this is not a checkpoint of tensors", where=str(path), fix="save a state_dict")
    if found and all(str(key).startswith("module.") for key in found):  # of DataParallel
        found = {key.removeprefix("module."): value for key, value in found.items()}
    return dict(found)


def save_weights(module: nn.Module, file: str | Path) -> None:
    """Write a module's weights, as safetensors or (any other ending) PyTorch's format; whole or not at all.

    Raises:
        RfcalcError: the file cannot be written.
        MissingExtra: safetensors is not installed.
    """
    path = Path(file)
    state = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    with draft(path) as file:
        if path.suffix == ".safetensors":
            try:
                from safetensors.torch import save_file
            except ImportError:
                raise MissingExtra("safetensors", "torch") from None
            save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, file)
        else:
            torch.save(state, file)


def grow(deeper: NetworkModule, shallow: NetworkModule) -> tuple[str, ...]:
    """Begin a deeper VGG from a trained one, as the paper did (§3.1): its first four convolutions and its fully
    connected layers are copied into the layers of the same names; the others stay as they were initialised.

    >>> from rfcalc import load, to_torch
    >>> a, d = (to_torch(load(name), device="meta") for name in ("vgg11", "vgg16"))
    >>> grow(d, a)
    ('conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8')

    Returns:
        the names of the layers that were copied.

    Raises:
        RfcalcError: the deeper network lacks one of these layers, or has another shape there.
    """
    weighted = [n.name for n in shallow.network.nodes if n.layer.weight_layers]
    convs = [n for n in weighted if shallow.network.node(n).layer.kind == "conv" and not n.startswith("fc")][:4]
    chosen = [*convs, *(n for n in weighted if n.startswith("fc") or shallow.network.node(n).layer.kind == "linear")]
    pairs = []
    for name in chosen:
        if name not in deeper.paths:
            raise RfcalcError(f"the deeper network has no layer {name}", fix="grow a VGG from a shallower one")
        ours, theirs = dict(deeper.module(name).named_parameters()), dict(shallow.module(name).named_parameters())
        if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in theirs.items()}:
            raise RfcalcError(f"{name} has other weights in the deeper network", fix="grow a VGG from a shallower one")
        pairs += [(ours[k], v) for k, v in theirs.items()]
    with torch.no_grad():
        for mine, other in pairs:
            mine.copy_(other)
    return tuple(chosen)


def _some(names: Any) -> str:
    told = list(names)
    return ", ".join(told[:5]) + (f" … and {len(told) - 5} more" if len(told) > 5 else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
