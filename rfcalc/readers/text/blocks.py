"""What forward does in classes that everybody uses: torchvision's blocks and models.

A class is known by its name and by the modules that it has: one of the same name with other modules is another class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add, Concat, Multiply
from rfcalc.layers.pointwise import Activation, Scale
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten, Permute
from rfcalc.readers.text.chain import TextChain
from rfcalc.readers.text.modules import MODULES
from rfcalc.readers.text.order import place
from rfcalc.readers.text.trees import Tree

IN_ORDER = (
    "Sequential", "ConvNormActivation", "Conv2dNormActivation", "Conv3dNormActivation", "ConvBNReLU",
    "ConvBNActivation", "MLP",
)  # fmt: skip
_BRANCHES = re.compile(
    r"downsample|shortcut|skip|resid|identity_|proj|branch|aux|encoder|decoder|^up|^down|attn|attention|lateral|gate|fus"
)
_LISTS = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")


class Runner(NamedTuple):
    """Runs the modules of a printed model into a chain; `hidden`: forward may do what is not printed (a flatten)."""

    chain: TextChain
    hidden: bool = True

    def run(self, tree: Tree, path: str) -> None:
        """One module after the current node."""
        if not tree.children and tree.kind not in _LISTS:
            if tree.kind in IN_ORDER:
                return
            self.leaf(tree, path)
            return
        known = KNOWN.get(tree.kind)
        if tree.kind in IN_ORDER:
            self.children(tree, path)
        elif known is not None and known.fits(tree):
            self.chain.note(f"{tree.kind} runs as {known.whose} does, which its print does not show")
            known.run(self, tree, path)
        else:
            self.unknown(tree, path)

    def leaf(self, tree: Tree, path: str) -> None:
        """A module without children."""
        if tree.kind not in MODULES:
            raise RfcalcError(
                f"the class {tree.kind} is not known, and its print does not show what it does",
                where=f"{path or tree.kind} (line {tree.line})",
                fix="read the model itself: file.py:Name or py:package.module:Name, which runs it",
            )
        place(self.chain, tree.made(), path or tree.kind.lower(), f"line {tree.line}", self.hidden)

    def children(self, tree: Tree, path: str, names: Sequence[str] | None = None) -> None:
        """Its modules in the order printed, or these of them."""
        for key in tree.children if names is None else names:
            if key in tree.children:
                self.run(tree.children[key], f"{path}.{key}" if path else key)

    def unknown(self, tree: Tree, path: str) -> None:
        """A class of the user's own: its modules in the order printed, if that can be."""
        kinds = [child.kind for child in tree.children.values()]
        odd = [key for key in tree.children if _BRANCHES.search(key.lower())]
        if tree.kind in _LISTS or any(kind in _LISTS for kind in kinds):
            odd = [tree.kind if tree.kind in _LISTS else next(k for k in kinds if k in _LISTS)]
        if odd:
            raise RfcalcError(
                f"the class {tree.kind} is not known, and {odd[0]} says that it does not run in one row",
                where=f"{path or 'the model'} (line {tree.line})",
                why="a printed model shows its modules, not what forward does with them",
                fix="read the model itself: file.py:Name or py:package.module:Name, which runs it",
            )
        self.chain.note(
            f"{tree.kind}: its modules are taken to run once each in the order printed, with nothing in between; "
            "a print shows neither the order nor functions, additions or concatenations in forward"
        )
        self.children(tree, path)


class _Known(NamedTuple):
    """A known class: the modules that it must have, those that it may have, whose it is, what it does."""

    needs: tuple[str, ...]
    may: tuple[str, ...]
    run: Callable[[Runner, Tree, str], None]
    whose: str = "torchvision's class"

    def fits(self, tree: Tree) -> bool:
        keys = set(tree.children)
        return set(self.needs) <= keys and (self.may == ("*",) or keys <= {*self.needs, *self.may})


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _residual(main: Sequence[str], last: str) -> Callable[[Runner, Tree, str], None]:
    """The modules `main`, one after another, plus the input (or its downsample); then the activation `last`."""

    def run(runner: Runner, tree: Tree, path: str) -> None:
        chain, begin = runner.chain, runner.chain.at
        used: set[str] = set()
        for key in main:
            if key not in tree.children:
                continue
            if key in used:  # one module, used again
                place(chain, tree.children[key].made(), f"{path}.{key}_2", tree.where)
            else:
                runner.run(tree.children[key], _join(path, key))
            used.add(key)
        end = chain.at
        if "downsample" in tree.children:
            chain.at = begin
            runner.run(tree.children["downsample"], _join(path, "downsample"))
            begin = chain.at
        chain.add(Add(), _join(path, "add"), [end, begin])
        if last in used:
            place(
                chain, tree.children[last].made(), f"{path}.{last}_{'3' if main.count(last) > 1 else '2'}", tree.where
            )
        elif last in tree.children:
            runner.run(tree.children[last], _join(path, last))

    return run


def _inverted(key: str) -> Callable[[Runner, Tree, str], None]:
    """The block plus its input, where the stride is 1 and the channels stay."""

    def run(runner: Runner, tree: Tree, path: str) -> None:
        chain, begin = runner.chain, runner.chain.at
        before = chain.shape
        first = len(chain.graph.nodes)
        runner.run(tree.children[key], _join(path, key))
        strides = [
            layer.stride
            for made in chain.graph.nodes[first:]
            if isinstance(layer := made.layer, Conv) and layer.stride != (1,)
        ]
        if not strides and chain.shape.channels == before.channels:
            end = chain.at
            if "stochastic_depth" in tree.children:
                runner.run(tree.children["stochastic_depth"], _join(path, "stochastic_depth"))
                end = chain.at
            chain.add(Add(), _join(path, "add"), [end, begin])

    return run


def _squeeze(runner: Runner, tree: Tree, path: str) -> None:
    chain, begin = runner.chain, runner.chain.at
    runner.children(tree, path, ("avgpool", "fc1", "activation", "fc2", "scale_activation"))
    chain.add(Multiply(), _join(path, "scale"), [begin, chain.at])


def _fire(runner: Runner, tree: Tree, path: str) -> None:
    chain = runner.chain
    runner.children(tree, path, ("squeeze", "squeeze_activation"))
    begin, ends = chain.at, []
    for part in ("expand1x1", "expand3x3"):
        chain.at = begin
        runner.children(tree, path, (part, f"{part}_activation"))
        ends.append(chain.at)
    chain.add(Concat(), _join(path, "concat"), ends)


def _branches(runner: Runner, tree: Tree, path: str) -> None:
    """GoogLeNet's Inception: four branches of the same map."""
    chain, begin, ends = runner.chain, runner.chain.at, []
    for key in ("branch1", "branch2", "branch3", "branch4"):
        chain.at = begin
        runner.run(tree.children[key], _join(path, key))
        ends.append(chain.at)
    chain.add(Concat(), _join(path, "concat"), ends)


def _conv_bn_relu(runner: Runner, tree: Tree, path: str) -> None:
    """BasicConv2d ends with a ReLU that is a function."""
    runner.children(tree, path, ("conv", "bn"))
    runner.chain.add(Activation("relu"), _join(path, "relu"))


def _dense_layer(runner: Runner, tree: Tree, path: str) -> None:
    runner.children(tree, path, ("norm1", "relu1", "conv1", "norm2", "relu2", "conv2"))


def _dense_block(runner: Runner, tree: Tree, path: str) -> None:
    """Every layer reads the concatenation of all maps before it."""
    chain = runner.chain
    maps = [chain.at]
    for key, child in tree.children.items():
        if len(maps) > 1:
            chain.add(Concat(), f"{_join(path, key)}.concat", maps)
        runner.run(child, _join(path, key))
        maps.append(chain.at)
    chain.add(Concat(), _join(path, "concat"), maps)


def _flattened(before: str, pooled: bool = False, relu: bool = False) -> Callable[[Runner, Tree, str], None]:
    """A model that flattens before one of its modules, after pooling (and a ReLU) that it does by a function."""

    def run(runner: Runner, tree: Tree, path: str) -> None:
        chain = runner.chain
        for key, child in tree.children.items():
            if key.startswith("aux"):
                chain.note("auxiliary heads run in training only, and are left out")
                continue
            if key == before:
                if relu:
                    chain.add(Activation("relu"), _join(path, "relu"))
                if pooled:
                    chain.add(GlobalPool(), _join(path, "avgpool"))
                chain.add(Flatten(), _join(path, "flatten"))
            runner.run(child, _join(path, key))

    return run


def _flattened_after(runner: Runner, tree: Tree, path: str) -> None:
    runner.children(tree, path)
    runner.chain.add(Flatten(), _join(path, "flatten"))


def _convnext_block(runner: Runner, tree: Tree, path: str) -> None:
    """The layer scale is a parameter, which is not printed."""
    chain, begin = runner.chain, runner.chain.at
    turned = False
    for key, child in tree.children["block"].children.items():
        name = f"{_join(path, 'block')}.{key}"
        if child.kind == "Permute" and not child.args:  # to channels last, and back
            chain.add(Permute((2, 0, 1) if turned else (1, 2, 0)), name)
            turned = True
        else:
            runner.run(child, name)
    chain.add(Scale(), _join(path, "layer_scale"))
    runner.run(tree.children["stochastic_depth"], _join(path, "stochastic_depth"))
    chain.add(Add(), _join(path, "add"), [chain.at, begin])


def _plain(runner: Runner, tree: Tree, path: str) -> None:
    runner.children(tree, path)


_BASIC = ("conv1", "bn1", "relu", "conv2", "bn2")
_BOTTLENECK = ("conv1", "bn1", "relu", "conv2", "bn2", "relu", "conv3", "bn3")
KNOWN: dict[str, _Known] = {
    "BasicBlock": _Known(_BASIC, ("downsample",), _residual(_BASIC, "relu")),
    "Bottleneck": _Known(tuple(dict.fromkeys(_BOTTLENECK)), ("downsample",), _residual(_BOTTLENECK, "relu")),
    "InvertedResidual": _Known((), ("conv", "block"), lambda r, t, p: _inverted(next(iter(t.children)))(r, t, p)),
    "MBConv": _Known(("block", "stochastic_depth"), (), _inverted("block")),
    "FusedMBConv": _Known(("block", "stochastic_depth"), (), _inverted("block")),
    "SqueezeExcitation": _Known(("avgpool", "fc1", "fc2", "activation", "scale_activation"), (), _squeeze),
    "Fire": _Known(
        ("squeeze", "squeeze_activation", "expand1x1", "expand1x1_activation", "expand3x3", "expand3x3_activation"),
        (), _fire,
    ),
    "Inception": _Known(("branch1", "branch2", "branch3", "branch4"), (), _branches),
    "BasicConv2d": _Known(("conv", "bn"), (), _conv_bn_relu),
    "_DenseLayer": _Known(("norm1", "relu1", "conv1", "norm2", "relu2", "conv2"), (), _dense_layer),
    "_DenseBlock": _Known(("denselayer1",), ("*",), _dense_block),
    "_Transition": _Known(("norm", "relu", "conv", "pool"), (), _plain),
    "CNBlock": _Known(("block", "stochastic_depth"), (), _convnext_block),
    "ResNet": _Known(("conv1", "layer1", "layer4", "avgpool", "fc"), ("*",), _flattened("fc")),
    "VGG": _Known(("features", "avgpool", "classifier"), (), _flattened("classifier")),
    "AlexNet": _Known(("features", "avgpool", "classifier"), (), _flattened("classifier")),
    "MobileNetV2": _Known(("features", "classifier"), (), _flattened("classifier", pooled=True)),
    "MobileNetV3": _Known(("features", "avgpool", "classifier"), (), _flattened("classifier")),
    "EfficientNet": _Known(("features", "avgpool", "classifier"), (), _flattened("classifier")),
    "MNASNet": _Known(("layers", "classifier"), (), _flattened("classifier", pooled=True)),
    "DenseNet": _Known(("features", "classifier"), (), _flattened("classifier", pooled=True, relu=True)),
    "SqueezeNet": _Known(("features", "classifier"), (), _flattened_after),
    "GoogLeNet": _Known(("conv1", "inception3a", "avgpool", "dropout", "fc"), ("*",), _flattened("dropout")),
    "ConvNeXt": _Known(("features", "avgpool", "classifier"), (), _plain),
}  # fmt: skip
