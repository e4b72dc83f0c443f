"""A fourth road to the keys of exercises: from the item's English alone.

It knows only English, tables and arithmetic: it reads an item's paragraphs and grids as a student does, builds the
layers that they describe, and computes with the closed formulas of `exercise_sums`. What was asked of which network is
never looked up.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

from exercise_page import Grid, Page, Slot, Text
from exercise_slips import made as slip
from exercise_sums import Sums

ITEMSIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
COLUMNS = {
    "output": "output_shape", "output side": "side", "receptive field": "receptive_field",
    "effective stride": "stride", "weights": "weights", "biases": "biases", "parameters": "params",
    "buffers": "buffers", "multiply-adds": "macs", "FLOPs": "flops", "values": "values", "bytes": "bytes",
    "peak bytes": "peak_bytes",
}  # fmt: skip
QUESTIONS = {
    r"What is the shape of (?:the output of )?(.*?), as channels": "output_shape",
    r"What is the side \(height = width\) of (.*?)\?": "side",
    r"How large is the receptive field of one unit of (.*?)\? Give": "receptive_field",
    r"What is the effective stride of (.*?): how": "stride",
    r"How many weights does (.*?) have, biases": "weights",
    r"How many biases does (.*?) have\?": "biases",
    r"How many trainable parameters does (.*?) have\?": "params",
    r"How many values that are not trained \(buffers\) does (.*?) hold": "buffers",
    r"How many multiply-adds does (.*?) take for": "macs",
    r"How many FLOPs does (.*?) take for": "flops",
    r"How many values does (.*?) hold\?": "values",
    r"How many bytes does (.*?) take\?": "bytes",
    r"How many values are in the maps of (a forward pass)": "values",
    r"How many bytes do the maps of (a forward pass)": "bytes",
    r"How many bytes of maps are in memory at the peak of (a forward pass)": "peak_bytes",
}
AMOUNTS = {
    "number of weights": "weights", "number of biases": "biases", "number of parameters": "params",
    "number of buffers": "buffers", "number of multiply-adds": "macs", "number of FLOPs": "flops",
    "number of values": "values", "number of bytes": "bytes", "peak in bytes": "peak_bytes", "output": "output_shape",
    "output side": "side", "receptive field": "receptive_field", "effective stride": "stride",
}  # fmt: skip


class Unreadable(Exception):
    """The item does not describe a network in the usual way."""


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.split("[×x]", text))


def layer(text: str) -> SimpleNamespace:
    """A layer from its description."""
    kind, *options = [p.strip() for p in text.split(", ")]
    found = SimpleNamespace(
        stride=(1,), padding=((0, 0),), dilation=(1,), groups=1, bias=True, rounding="floor", output_padding=(0,)
    )
    plain = {
        "flatten": "flatten", "ReLU": "activation", "dropout": "dropout", "sum": "add", "identity": "identity",
        "batch normalisation": "batchnorm", "local response normalisation": "lrn", "softmax": "softmax",
        "concatenation along the channels": "concat",
    }  # fmt: skip
    if kind in plain:
        found.kind = plain[kind]
    elif kind in ("convolution", "transposed convolution"):
        found.kind = "conv" if kind == "convolution" else "conv_transpose"
        said = re.fullmatch(r"(\d+) filters? of (?:length )?([\d×]+)", options.pop(0))
        assert said
        found.out_channels, found.kernel = int(said[1]), numbers(said[2])
    elif found_pool := re.fullmatch(r"(max|average) pooling ([\d×]+)", kind):
        found.kind, found.kernel = found_pool[1][:3].replace("ave", "avg") + "pool", numbers(found_pool[2])
    elif deep := re.fullmatch(r"depthwise convolution ([\d×]+)", kind):
        found.kind, found.kernel, found.multiplier = "depthwise", numbers(deep[1]), 1
    elif re.fullmatch(r"global (max|average) pooling", kind):
        found.kind, found.size = "adaptive_pool", (1,)
    elif kind == "fully connected":
        found.kind = "linear"
        said = re.fullmatch(r"(\d+) units?", options.pop(0))
        assert said
        found.out_features = int(said[1])
    elif up := re.fullmatch(r"upsampling ×([\d×]+) \(\w+\)", kind):
        found.kind, found.factor = "upsample", numbers(up[1])
    elif pad := re.fullmatch(r"zero padding ([\d×]+) on every side", kind):
        found.kind, found.padding = "pad", tuple((n, n) for n in numbers(pad[1]))
    else:
        raise Unreadable(text)
    uneven: list[tuple[int, int]] = []
    for option in options:
        if said := re.fullmatch(r"stride ([\d×]+)", option):
            found.stride = numbers(said[1])
        elif option == "no padding":
            found.padding = ((0, 0),)
        elif option == "padded to keep the size":
            found.padding = "same"
        elif said := re.fullmatch(r"padding ([\d×]+)", option):
            found.padding = tuple((n, n) for n in numbers(said[1]))
        elif said := re.fullmatch(r"(?:padding )?(\d+) before and (\d+) after", option):
            uneven.append((int(said[1]), int(said[2])))
        elif said := re.fullmatch(r"dilation ([\d×]+)", option):
            found.dilation = numbers(said[1])
        elif said := re.fullmatch(r"output padding ([\d×]+)", option):
            found.output_padding = numbers(said[1])
        elif said := re.fullmatch(r"(\d+) groups", option):
            found.groups = int(said[1])
        elif option == "without bias":
            found.bias = False
        elif option == "rounded up (ceil mode)":
            found.rounding = "ceil"
        else:
            raise Unreadable(option)
    if uneven:
        found.padding = tuple(uneven)
    return found


class Network:
    """Nodes as an item lists them."""

    def __init__(self, source: str, nodes: list[SimpleNamespace]) -> None:
        self.inputs, self.nodes = (source,), nodes
        read = {name for n in nodes for name in n.inputs}
        self.outputs = [n.name for n in nodes if n.name not in read]

    def node(self, name: str) -> SimpleNamespace:
        return next(n for n in self.nodes if n.name == name)

    def position(self, name: str) -> int:
        return 1 + [n.name for n in self.nodes].index(name)


class Told(Sums):
    """The figures of a network that was told in English."""


def words(item: Page) -> str:
    return "\n".join(b.text for b in item.body if isinstance(b, Text))


def told(item: Page, value: str = "") -> Told:
    """The network of an item; `value` stands for the question mark.

    Raises:
        Unreadable: the item tells its network in another way.
    """
    for block in item.body:
        if isinstance(block, Grid) and block.header[:2] == ("layer", "what it is"):
            (source, shape), nodes = block.rows[0][:2], []
            reads = block.header.index("reads") if "reads" in block.header else None
            before = str(source)
            for row in block.rows[1:]:
                inputs = [before] if reads is None else str(row[reads]).split(", ")
                what = str(row[1]).replace("?", value) if value else str(row[1])
                nodes.append(SimpleNamespace(name=str(row[0]), layer=layer(what), inputs=inputs))
                before = str(row[0])
            given = re.fullmatch(r"input ([\dx]+)", str(shape))
            if given is None:
                raise Unreadable(str(shape))
            return Told(Network(str(source), nodes), numbers(given[1]))
    said = re.search(r"A (?:map|signal|vector of) ([\dx]+) .*goes through one layer: (.*)\.(?:\n|$)", words(item))
    if said is None:
        raise Unreadable(words(item)[:80])
    what = said[2].replace("?", value) if value else said[2]
    return Told(
        Network("input", [SimpleNamespace(name="layer", layer=layer(what), inputs=["input"])]), numbers(said[1])
    )


def setting(item: Page) -> tuple[int, int]:
    """The batch and the bytes of a value, as the conventions say."""
    conventions = item.conventions
    batch = re.search(r"for a batch of (\d+)", conventions)
    size = re.search(r"\((\d+) bytes? each\)", conventions)
    kind = re.search(r"Values are (\w+)", conventions)
    assert kind is None or size is None or ITEMSIZES[kind[1]] == int(size[1])
    return int(batch[1]) if batch else 1, int(size[1]) if size else 4


def place(found: Told, text: str) -> str:
    """The node that a phrase is about; empty for the whole network."""
    quoted = re.search("`([^`]+)`", text)
    if quoted:
        return quoted[1]
    if "forward pass" in text or "network" in text:
        if "output" in text:
            return found.network.nodes[-1].name
        return ""
    return str(found.network.nodes[-1].name)


def figure(found: Told, name: str, at: str, item: Page) -> str:
    batch, itemsize = setting(item)
    value = found.figure(name, at, batch, itemsize)
    return str(value * batch if at and name in ("macs", "flops") and batch > 1 else value)


def keys(item: Page) -> dict[str, str]:
    """The key of every blank, from the item's text.

    Raises:
        Unreadable: the item is told in a way that this reader does not know.
    """
    if item.form == "table" and not any(isinstance(b, Grid) and b.header[0] == "unit" for b in item.body):
        return _table(item)
    if item.form == "one-layer":
        found, text = told(item), words(item)
        for pattern, name in QUESTIONS.items():
            said = re.search(pattern, text)
            if said:
                return {item.blanks[0].name: figure(found, name, place(found, said[1]), item)}
    if item.form == "setting":
        said = re.search(r"Which value of `\?`, .*, makes the ([\w -]+?)( of `[^`]+`)? (\S+)\?", words(item))
        if said and said[1] in AMOUNTS:
            return {item.blanks[0].name: _setting(item, AMOUNTS[said[1]], said[2] or "", said[3])}
    if item.form == "error":
        return {item.blanks[0].name: _error(item)}
    if item.form == "compare":
        return {item.blanks[0].name: _compare(item)}
    if item.form == "summary":
        return {item.blanks[0].name: _summary(item)}
    raise Unreadable(words(item)[:80])


PARAMETERS = {
    "kernel size": "kernel", "stride": "stride", "padding (on every side)": "padding", "dilation": "dilation",
    "number of filters": "out_channels", "number of units": "out_features", "number of groups": "groups",
}  # fmt: skip


def _compare(item: Page) -> str:
    said = re.search(
        r"in design B, the ([\w ()]+?)(?: of `([^`]+)`)? is (\d+) instead of (\d+)\. "
        r"What is the ([\w -]+?)( of `[^`]+`)? of each",
        words(item),
    )
    if said is None or said[5] not in AMOUNTS:
        raise Unreadable(words(item)[-80:])
    values = []
    for to in (None, int(said[3])):
        found = told(item)
        if to is not None:
            nodes = found.network.nodes
            one = found.network.node(said[2]) if said[2] else nodes[0]
            name = PARAMETERS[said[1]]
            now = {"out_channels": to, "out_features": to, "groups": to, "padding": ((to, to),)}.get(name, (to,))
            setattr(one.layer, name, now)
            found = Told(found.network, found.shapes[found.source])
        single = [n.name for n in found.network.nodes] == ["layer"]
        at = place(found, said[6] or ("" if single else "the network"))
        values.append(figure(found, AMOUNTS[said[5]], at, item))
    a, b = values
    if a == b:
        return f"A and B: {a} each"
    if "x" in a + b:
        return f"A: {a}, B: {b}"
    more = "A" if int(a) > int(b) else "B"
    return f"A: {a}, B: {b}; {more} has {abs(int(a) - int(b))} more"


def _summary(item: Page) -> str:
    said = re.search(
        r"summary says (\S+) ([\w -]+?) for (.*?)\. By the conventions below it is (\S+)\. Which", words(item)
    )
    if said is None:
        raise Unreadable(words(item)[-80:])
    found = told(item)
    where = place(found, "" if said[3] == "the layer" else said[3])
    return which_mistake(item, found, COLUMNS[said[2]], where, said[1], said[4])


def which_mistake(item: Page, found: Told, name: str, at: str, wrong: str, right: str) -> str:
    """The one option whose mistake makes the wrong number; the right one has to be right."""
    assert figure(found, name, at, item) == right != wrong
    made = {o.text: slip(found, o.text, name, at, *setting(item)) for o in item.blanks[0].options}
    assert len(set(made.values())) == len(made) and None not in made.values(), made
    (mistake,) = [title for title, number in made.items() if str(number) == wrong]
    return mistake


def _table(item: Page) -> dict[str, str]:
    found = told(item)
    grid = next(b for b in item.body if isinstance(b, Grid))
    return {
        cell.blank: figure(found, COLUMNS[grid.header[i]], str(row[0]), item)
        for row in grid.rows
        for i, cell in enumerate(row)
        if isinstance(cell, Slot)
    }


def _setting(item: Page, name: str, where: str, wanted: str) -> str:
    right = []
    for option in item.blanks[0].options:
        try:
            found = told(item, option.text)
            single = len(found.network.nodes) == 1 and "layer" in (n.name for n in found.network.nodes)
            if figure(found, name, place(found, where or ("" if single else "the network")), item) == wanted:
                right.append(option.text)
        except (AssertionError, ZeroDivisionError):
            continue
    assert len(right) == 1, right
    return right[0]


def _error(item: Page) -> str:
    """The first row that is not what follows from the row before, as it is shown; the rows after it have to follow."""
    found = told(item)
    grid = next(b for b in item.body if isinstance(b, Grid))
    name = COLUMNS[grid.header[-1]]
    right = [figure(found, name, str(row[0]), item) for row in grid.rows[1:]]
    written = [str(row[-1]) for row in grid.rows[1:]]
    wrong = [i for i, (a, b) in enumerate(zip(right, written, strict=True)) if a != b]
    assert wrong
    first = wrong[0]
    if "any rows after it follow from it" in words(item):
        _follow(item, found, name, first, written)
    else:
        assert len(wrong) == 1, "one row is wrong"
    return str(grid.rows[1 + first][0])


def _follow(item: Page, found: Told, name: str, first: int, written: list[str]) -> None:
    """Every row after the wrong one is what the right rule makes of the rows that it reads, as they are shown."""
    nodes = found.network.nodes
    given = {n.name: w for n, w in zip(nodes, written, strict=True)}
    for i in range(first + 1, len(nodes)):
        node = nodes[i]
        if name == "output_shape":
            xs = [found.shapes[s] if s == found.source else numbers(given[s]) for s in node.inputs]
            assert "x".join(map(str, found.output(node.layer, xs))) == written[i], node.name
        elif len(node.inputs) == 1 and node.inputs[0] in given and name == "receptive_field":
            rows = found.shapes[node.inputs[0]]
            before, after = (found.seen(s)[0] for s in (node.inputs[0], node.name))
            if len(rows) > 1 and "x" not in given[node.inputs[0]] + written[i]:
                assert int(written[i]) - int(given[node.inputs[0]]) == after[0] - before[0], node.name
