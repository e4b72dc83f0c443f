"""A network as plain PyTorch source, which needs nothing of rfcalc.

The same twins that run are printed: the file's state dict has the names and shapes of `to_torch`'s, and equal weights
give equal outputs. What stands together under one dotted name becomes a class; blocks that differ in numbers only are
one class with these numbers as arguments; chains become ``nn.Sequential``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from typing import Any, TypeVar

from rfcalc.backend.build import Placed, make, place
from rfcalc.backend.classes import Classes
from rfcalc.backend.emit import access, camel, identifier, indented, sequential
from rfcalc.backend.needs import header
from rfcalc.graph.forward import forward, shapes_of_inputs
from rfcalc.graph.naming import paths
from rfcalc.graph.network import Network


def to_source(network: Network, inputs: Any = None, *, eps: float | None = None, notes: Sequence[str] = ()) -> str:
    """The network as a Python file with one ``nn.Module`` for it.

    >>> from rfcalc import Conv, MaxPool, Network, ReLU
    >>> text = to_source(Network(Conv(8, 3, padding=1) >> ReLU() >> MaxPool(2), "3x32x32"))
    >>> print(text[text.index("class"):])
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
            self.relu1 = nn.ReLU()
            self.maxpool1 = nn.MaxPool2d(2)
    <BLANKLINE>
        def forward(self, x: Tensor) -> Tensor:
            x = self.conv1(x)
            x = self.relu1(x)
            x = self.maxpool1(x)
            return x
    <BLANKLINE>

    Args:
        network, inputs, eps: as for `to_torch`; the names are those of its modules.
        notes: what else the head of the file is to say (what was assumed).

    Raises:
        Unsupported: as for `to_torch`.
        ShapeError: a layer cannot take what it gets.
    """
    shapes = shapes_of_inputs(network, inputs)
    walked = forward(network, shapes)
    names = None
    if network.torch is not None:
        names = paths(network.torch, [node.name for node in network.nodes])
        eps = network.torch.eps if eps is None else eps
    writer = _Writer(network, place(walked, eps=eps, names=names))
    name = camel(network.name) or "Net"
    classes = Classes(name)
    body = writer.root(classes)
    classes.settle()
    told = [f"{n} N×{'×'.join(map(str, s.dims))}" for n, s in zip(network.inputs, shapes, strict=True)]
    about = [
        network.title,
        network.citation,
        f"Written by rfcalc; needs PyTorch only. Inputs: {', '.join(told)}.",
        *notes,
    ]
    main = f"class {name}(nn.Module):\n{indented(classes.filled(body))}"
    text = "\n\n\n".join([*classes.written(), main])
    return header([line for line in about if line], text) + "\n\n\n" + text + "\n"


MOST_RESULTS = 3  # of a block; one that gives more is written out where it stands


class Folder:
    """What stands under one dotted name: its nodes, and its parts in the order in which they run."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.parts: dict[str, Folder | int] = {}
        self.members: list[int] = []
        self.known: dict[str, Any] = {}  # what was found out about it

    @property
    def folders(self) -> Iterator[Folder]:
        for part in self.parts.values():
            if isinstance(part, Folder):
                yield part


T = TypeVar("T")


def once(method: Callable[[Any, Folder], T]) -> Callable[[Any, Folder], T]:
    """Find something out about a folder once."""

    def found(self: Any, folder: Folder) -> T:
        if method.__name__ not in folder.known:
            folder.known[method.__name__] = method(self, folder)
        known: T = folder.known[method.__name__]
        return known

    return found


class _Writer:
    """Writes the tree of attributes as constructors, and the nodes as lines of ``forward``."""

    def __init__(self, network: Network, placed: tuple[Placed, ...]) -> None:
        self.network = network
        self.arity = network.arity
        self.placed = dict(enumerate(placed, network.arity))
        self.sources = {p: s or (0,) for p, s in enumerate(network.sources, network.arity)}  # a parameter's batch
        self.readers: dict[int, list[int]] = {}
        for p, sources in self.sources.items():
            for s in sources:
                self.readers.setdefault(s, []).append(p)
        self.outputs = [network.position(name) for name in network.outputs]
        self.users: dict[str, set[int]] = {}  # of a module that several nodes share
        for p, put in self.placed.items():
            if put.shares or put.tied:
                self.users.setdefault(put.shares or put.tied, set()).add(p)
        for p, put in self.placed.items():
            if put.path in self.users:
                self.users[put.path].add(p)
        self.tree = Folder("")
        for p, put in self.placed.items():
            at = self.tree
            at.members.append(p)
            *above, name = put.path.split(".")
            for part in above:
                inner = at.parts.setdefault(part, Folder(f"{at.path}.{part}".lstrip(".")))
                assert isinstance(inner, Folder)
                at = inner
                at.members.append(p)
            at.parts[name] = p

    # --- what a folder is ----------------------------------------------------------------------------------------

    @once
    def reads(self, folder: Folder) -> list[int]:
        """What its nodes read from outside, in order."""
        mine = set(folder.members)
        return list(dict.fromkeys(s for p in folder.members for s in self.sources[p] if s not in mine))

    @once
    def gives(self, folder: Folder) -> list[int]:
        """Its nodes that are read from outside, or are outputs."""
        mine = set(folder.members)
        return [
            p
            for p in folder.members
            if p in self.outputs or any(r not in mine for r in self.readers.get(p, ())) or p not in self.readers
        ]

    @once
    def closed(self, folder: Folder) -> bool:
        """Whether it can be a module of its own: its nodes run one after another, few values leave it, and it shares
        no weights with what stands outside."""
        members = folder.members
        mine = set(members)
        in_row = members == list(range(members[0], members[-1] + 1))
        shared = all(not (users & mine) or users <= mine for users in self.users.values())
        return in_row and shared and len(self.gives(folder)) <= MOST_RESULTS and bool(self.reads(folder))

    @once
    def chain(self, folder: Folder) -> bool:
        """Whether it is an ``nn.Sequential``: modules only, each on the result of the one before."""
        before: int | None = None
        if any(p in users for users in self.users.values() for p in folder.members):
            return False
        for part in folder.parts.values():
            if isinstance(part, Folder):
                if not self.closed(part) or len(self.reads(part)) != 1 or len(self.gives(part)) != 1:
                    return False
                source, last = self.reads(part)[0], self.gives(part)[0]
            else:
                if not self.placed[part].twin.plain or len(self.sources[part]) != 1:
                    return False
                source, last = self.sources[part][0], part
            if before is not None and source != before:
                return False
            before = last
        return self.gives(folder) == [before]

    @once
    def listed(self, folder: Folder) -> bool:
        """Whether its parts are called 0, 1, … and can stand in an ``nn.ModuleList``."""
        if list(folder.parts) != [str(i) for i in range(len(folder.parts))] or self.closed(folder):
            return False
        for part in folder.parts.values():
            if isinstance(part, Folder):
                if not self.closed(part):
                    return False
            elif self.placed[part].twin.module is None or self.placed[part].shares or self.placed[part].tied:
                return False
        return True

    # --- writing -------------------------------------------------------------------------------------------------

    def made(self, part: Folder | int, classes: Classes) -> str:
        """The expression that makes a part."""
        if isinstance(part, int):
            twin = self.placed[part].twin
            return str(twin.learned if twin.learned is not None else twin.module)
        if self.chain(part):
            return sequential({name: self.made(inner, classes) for name, inner in part.parts.items()})
        return classes.instance(self.label(part), self.body(part, classes))

    def label(self, folder: Folder) -> str:
        """What a block's class is called: by its nodes' own names, without their numbers."""
        names = [self.network.nodes[p - self.arity].name for p in folder.members]
        alike = [i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1]
        prefix = names[0][: alike[0]] if alike else names[0]
        parts = [part for part in prefix.split(".") if re.sub(r"[\d_]+", "", part)]
        for word in (*reversed(parts), *reversed(folder.path.split("."))):
            plain = re.sub(r"\d+[a-z]?$", "", word).strip("_")
            if camel(plain) and not plain[0].isdecimal():
                return camel(plain)
        return "Block"

    def root(self, classes: Classes) -> str:
        names = [identifier(n) for n in self.network.inputs]
        variables = ["x"] if names in (["input"], ["x"]) else names
        return self.body(self.tree, classes, dict(enumerate(variables)), self.outputs)

    def body(
        self, folder: Folder, classes: Classes, given: dict[int, str] | None = None, results: list[int] | None = None
    ) -> str:
        """The two methods of a module that holds a folder's parts."""
        if given is None:
            reads = self.reads(folder)
            given = dict(zip(reads, ["x", *(f"x{i}" for i in range(1, len(reads)))], strict=True))
        results = results or self.gives(folder)
        init = ["super().__init__()", *self.init(folder, "self", classes)]
        lines = self.forward(folder, dict(given), results)
        takes = ", ".join(f"{name}: Tensor" for name in given.values())
        kind = "Tensor" if len(results) == 1 else f"tuple[{', '.join(['Tensor'] * len(results))}]"
        return (
            f"def __init__(self) -> None:\n{indented(chr(10).join(init))}\n\n"
            f"def forward(self, {takes}) -> {kind}:\n{indented(chr(10).join(lines))}"
        )

    def init(self, folder: Folder, owner: str, classes: Classes) -> list[str]:
        """The lines that make a folder's parts; what cannot be a module of its own becomes an empty one with parts."""
        lines = []
        for name, part in folder.parts.items():
            whole = access(owner, name)
            plain = name.isidentifier() and whole.endswith(f".{name}")
            if isinstance(part, Folder) and self.listed(part):
                inner = ",\n".join(self.made(p, classes) for p in part.parts.values())
                text = f"nn.ModuleList(\n    [\n{indented(inner, 8)},\n    ]\n)"
                lines.append(f"{whole} = {text}" if plain else f"{owner}.add_module({name!r}, {text})")
                continue
            if isinstance(part, Folder) and not self.closed(part):
                lines.append(f"{whole} = nn.Module()" if plain else f"{owner}.add_module({name!r}, nn.Module())")
                lines += self.init(part, whole, classes)
                continue
            if isinstance(part, int):
                put = self.placed[part]
                if put.shares or (put.twin.module is None and put.twin.learned is None):
                    continue
                if put.tied and put.twin.learned is not None:
                    lines.append(f"{whole} = {self.place_of(put.tied, owner, folder)}")
                    continue
            text = self.made(part, classes)
            adds = "register_parameter" if isinstance(part, int) and self.placed[part].twin.learned else "add_module"
            lines.append(f"{whole} = {text}" if plain else f"{owner}.{adds}({name!r}, {text})")
            if isinstance(part, int) and self.placed[part].tied:
                put = self.placed[part]
                assert put.twin.module is not None
                first = self.place_of(put.tied, owner, folder)
                for key, _ in make(put.twin.module).named_parameters():
                    lines.append(f"{whole}.{key} = {first}.{key}")
        return lines

    def place_of(self, path: str, owner: str, folder: Folder) -> str:
        """How a module of another place is reached from the class that is being written."""
        depth = len(folder.path.split(".")) if folder.path else 0
        written = len(re.findall(r"\.|getattr", owner))
        above = folder.path.split(".")[: depth - written] if folder.path else []
        at = "self"
        for part in path.split(".")[len(above) :]:
            at = access(at, part)
        return at

    def forward(self, folder: Folder, variables: dict[int, str], results: list[int]) -> list[str]:
        """The lines that run a folder's nodes."""
        last: dict[int, int] = {}
        for p in folder.members:
            for s in self.sources[p]:
                last[s] = p
        for p in results:
            last[p] = folder.members[-1] + 1
        inside = {p: part for part in self._closed_parts(folder) for p in part.members}
        lines = []
        for p in folder.members:
            part = inside.get(p)
            if part is not None and p != part.members[0]:
                continue
            reads = self.reads(part) if part is not None else list(self.sources[p])
            end = part.members[-1] if part is not None else p
            names = [variables[s] for s in reads]
            text = self.text(p, part, names, folder)
            held = {v for q, v in variables.items() if last.get(q, -1) > end}
            free = [v for v in dict.fromkeys(names) if v not in held]
            for q in [q for q in variables if last.get(q, -1) <= end]:
                del variables[q]
            targets: list[str] = []
            for result in self.gives(part) if part is not None else [p]:
                name = free.pop(0) if free else _fresh(held | set(targets))
                targets.append(name)
                variables[result] = name
            if text != targets[0]:
                lines.append(f"{', '.join(targets)} = {text}")
        lines.append("return " + ", ".join(variables[p] for p in results))
        return lines

    def _closed_parts(self, folder: Folder) -> Iterator[Folder]:
        for part in folder.folders:
            if self.closed(part):
                yield part
            else:
                yield from self._closed_parts(part)

    def text(self, p: int, part: Folder | None, names: list[str], folder: Folder) -> str:
        """One step: a module on what it reads, or an expression."""
        at = "self"
        put = self.placed[p]
        path = part.path if part is not None else put.shares or put.path
        skip = len(folder.path.split(".")) if folder.path else 0
        inside: Folder | int = folder
        for name in path.split(".")[skip:]:
            if isinstance(inside, Folder):
                at = f"{at}[{name}]" if name.isdecimal() and self.listed(inside) else access(at, name)
                inside = inside.parts.get(name, p)
            else:
                at = access(at, name)
        if part is not None:
            return f"{at}({', '.join(names)})"
        return put.twin.text.format(*names, m=at, w=at)


def _fresh(taken: set[str]) -> str:
    """A short name that is free."""
    return next(n for n in chain("xyzuvwabcde", (f"x{i}" for i in count(1))) if n not in taken)
