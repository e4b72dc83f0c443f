"""A stream as plain PyTorch source, which needs nothing of rfcalc: the module that runs, printed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from torch import nn

from rfcalc.backend.build import make
from rfcalc.backend.emit import camel
from rfcalc.backend.needs import parts
from rfcalc.backend.parts.attention import by_offset
from rfcalc.backend.stream import chunks, reads, runtime, tape
from rfcalc.backend.stream.build import Stream
from rfcalc.backend.stream.own import NUMBERS
from rfcalc.backend.stream.reads import Read, StreamedMap
from rfcalc.backend.twin import ConstructorCall

PARTS: tuple[Any, ...] = (
    *(
        tape.narrow,
        tape.piece,
        tape.blank,
        tape.widened,
        tape.zeros,
        tape.picked,
        tape.spread,
        tape.cat,
        tape.is_product,
        tape.by_taps,
        tape.product,
        tape.spread_product,
    ),
    *(reads.Read, reads.StreamedMap, reads.Held, tape.Tape, runtime.Streamed, tape.Run, tape.Recur, tape.Running),
    *(by_offset, chunks.hang, chunks.unfit),
)

MOST_WRITTEN = 4096  # values of a tensor that are written into the source

IMPORTS = (
    "from collections.abc import Callable, Sequence",
    "from typing import Any, NamedTuple",
    "",
    "import torch",
    "from torch import Tensor, nn",
    "from torch.nn import functional as F",
)


def to_source(stream: Stream, notes: Sequence[str] = ()) -> str:
    """A stream as a Python file with one class for it.

    The names of its parameters are those of the whole network's module, behind ``net.``: a checkpoint of that module
    loads with ``stream.net.load_state_dict``.

    >>> from rfcalc import to_stream
    >>> text = to_source(to_stream("conv2-4 > relu", "1x100"))
    >>> print(text[text.index("class Net"):])
    class Net(Streamed):
        def __init__(self) -> None:
            lines = [
                StreamedMap("input", 2, shape=(1, 100)),
                StreamedMap("conv1", 2, reads=(Read(0, kernel=2),), module="net.conv1", after=1, shape=(4, 100)),
                StreamedMap("relu1", 2, reads=(Read(1),), module="net.relu1", shape=(4, 100)),
            ]
            super().__init__(lines, output=2, block={"in": 1, "out": 1}, latency=1)
            hang(self, "net.conv1", nn.Conv1d(1, 4, 2))
            hang(self, "net.relu1", nn.ReLU())
            self.eval()
    <BLANKLINE>

    Args:
        stream: what `to_stream` gives.
        notes: what else the head of the file is to say.
    """
    plan = stream.plan
    name = camel(plan.timeline.walked.network.name) or "Net"
    body = [f"class {name}(Streamed):", "    def __init__(self) -> None:", "        lines = ["]
    for number, line in enumerate(stream.lines):
        body += _line(line, stream.texts.get(number))
    body.append("        ]")
    block = f'{{"in": {stream.block["in"]}, "out": {stream.block["out"]}}}'
    body.append(f"        super().__init__(lines, output={stream.output}, block={block}, latency={stream.latency})")
    for path, call in stream.calls.items():
        body.append(f'        hang(self, "{path}", {call})')
        if path in stream.ties:
            first, again = f'self.get_submodule("{stream.ties[path]}")', f'self.get_submodule("{path}")'
            body.append(f"        {again}._parameters = {first}._parameters")
        if isinstance(call, ConstructorCall):
            body += _numbers(path, call, stream.get_submodule(path))
    values, missing = _values(stream)
    body += [*values, "        self.eval()"]
    main = "\n".join(body)
    pieces = [inspect.getsource(part).rstrip() for part in PARTS]
    if any(line.how == "recurrent" for line in stream.lines):
        pieces.append(inspect.getsource(tape.recurrence).rstrip())
    sizes = "×".join(map(str, plan.timeline.walked.shapes[0].dims))
    beside = [stream.lines[number] for number in stream.inputs[1:]]
    blocks = f"whole blocks of {stream.block['in']}" if stream.block["in"] > 1 else "any length"
    about = [
        f"{plan.name} as a stream along axis {plan.axis}: forward(chunk), then flush(); reset() begins anew.",
        f"Chunks are N×{sizes} but for that axis: {blocks}. The output is the whole run's, {stream.latency} late.",
        *(f"With each comes {line.name}, {_along(line)}." for line in beside),
        "Written by rfcalc; needs PyTorch only.",
        *_unwritten(missing),
        *notes,
    ]
    helpers = parts(main)
    head = '"""' + "\n".join(about).replace("\\", "\\\\").replace('"""', "'''") + '\n"""'
    imports = ["from __future__ import annotations", "", *IMPORTS]
    for word in ("itertools", "math"):
        if any(f"{word}." in piece for piece in (*helpers, main)):
            imports.insert(2, f"import {word}")
    return "\n\n\n".join([head + "\n\n" + "\n".join(imports), *helpers, *pieces, main]) + "\n"


def _values(stream: Stream) -> tuple[list[str], list[str]]:
    """Lines that set what the module computes, or holds under another name, and no checkpoint of it has; and the names
    of what is too large to be written."""
    lines: list[str] = []
    missing: list[str] = []
    own = stream.own
    if own is None:
        return lines, missing
    for path, tensor in stream.state_dict().items():
        if path.removeprefix("net.") in own or path.endswith("num_batches_tracked"):
            continue
        if tensor.numel() > MOST_WRITTEN:
            missing.append(path)
            continue
        owner, _, name = path.rpartition(".")
        numbers = wrap(", ".join(map(repr, tensor.flatten().tolist())), 103)
        told = f", dtype={tensor.dtype}).view({', '.join(map(str, tensor.shape)) or '()'})"
        lines += [f'        self.get_submodule("{owner}").{name}.data = torch.tensor([']
        lines += [*(f"            {row}" for row in numbers), f"        ]{told}"]
    return lines, missing


def _unwritten(missing: list[str]) -> list[str]:
    """What is said of values that stand nowhere."""
    if not missing:
        return []
    names = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    return [
        f"The module computes {names}, and no checkpoint of it holds them: load what the stream itself holds,",
        "torch.save(rfcalc.to_stream(module, …).state_dict(), …).",
    ]


def _along(line: StreamedMap) -> str:
    """What another input gives with every chunk."""
    sizes, (p, q) = "×".join(map(str, line.shape)), line.rate
    return f"N×{sizes} but for axis {line.axis}: {p} of its positions with {q}" if line.axis else f"N×{sizes}, as it is"


def _numbers(path: str, call: ConstructorCall, module: nn.Module) -> list[str]:
    """What a user's module says otherwise than the constructor: slopes, what is added to variances."""
    fresh = make(call)
    pairs = [(n, getattr(module, n)) for n in NUMBERS if getattr(module, n, None) != getattr(fresh, n, None)]
    return [f'        self.get_submodule("{path}").{name} = {value!r}' for name, value in pairs]


def _line(line: StreamedMap, text: str | None) -> list[str]:
    """One map as an entry of the list."""
    fresh = StreamedMap("", 0)
    told = [f'"{line.name}"', str(line.axis)]
    for name in StreamedMap._fields[2:]:
        value = getattr(line, name)
        if name == "run":
            if value is not None and text is not None:
                count = max(len(line.reads), 1) + (line.how == "attention")
                told.append(f"run={'recurrence' if line.how == 'recurrent' else _function(text, count)}")
        elif value != getattr(fresh, name):
            shown = (
                f"({', '.join(map(_read, value))}{',' if len(value) == 1 else ''})"
                if name == "reads"
                else _value(value)
            )
            told.append(f"{name}={shown}")
    whole = f"            StreamedMap({', '.join(told)}),"
    if len(whole) <= 120:
        return [whole]
    rows, row = [], ""
    for part in told:
        if row and len(row) + len(part) + 18 > 119:
            rows.append(row)
            row = ""
        row += f"{' ' if row else ''}{part},"
    return ["            StreamedMap(", *(f"                {r}" for r in [*rows, row]), "            ),"]


def _read(read: Read) -> str:
    fresh, told = Read(0), [str(read.source)]
    for name, value in zip(Read._fields[1:], read[1:], strict=True):
        if value != getattr(fresh, name):
            told.append(f"{name}={_value(value)}")
    return f"Read({', '.join(told)})"


def _value(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return 'float("-inf")' if value == float("-inf") else repr(value)


def _function(text: str, count: int) -> str:
    """The expression of a twin as a function of module, learned tensor and inputs."""
    names = ["x"] if count == 1 else [f"x{i}" for i in range(count)]
    return re.sub(r"\s+", " ", f"lambda m, w, {', '.join(names)}: {text.format(*names, m='m', w='w')}")
