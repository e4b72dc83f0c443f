"""The algebra in which networks are written: layers and the combinators over them, as immutable values.

=====================  ===========================================================================
``a >> b``             series: b after a
``a | b``              parallel, results concatenated along the channels
``a + b``              parallel, results added
``a * b``              parallel, results multiplied (gates; broadcasting)
``a * 3``              repetition; stays structure, also ``repeat(a, n, index)``
``a.named("x")``       a name; inside a repetition the copies are x_1, x_2, …
``a.block("x")``       a scope: the names inside are x.conv1, …; copies of a repetition in it are x.0., x.1., …
``a.stage("x")``       a stage: a heading for the nodes inside, their names stay
``a.shared("g")``      a weight group: the layers inside use the same weights wherever the group appears
``ref("x")``           the value of the node (or input) called x: skips, several inputs
``side(a)``            a branch that ends: the value passes by (auxiliary heads, further outputs)
=====================  ===========================================================================

Python binds ``>>`` tighter than ``|`` and ``+``, ``*`` tighter than both, so ``stem >> a | b >> tail`` is
``(stem >> a) | (b >> tail)``, and ``stem >> a + b`` is ``stem >> (a + b)``: write the parentheses.

Every expression prints as source that rebuilds it. Imports `errors`, `registry`, `size`, and `index` when numbers are
put in for one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rfcalc.core import Registry
from rfcalc.core.errors import LimitError, NetworkError, OpenRepetition
from rfcalc.core.size import Size, decide, is_number, is_size, native

if TYPE_CHECKING:
    from rfcalc.core.index import Var
    from rfcalc.core.layer import Layer

MOST_NODES = 1_000_000
DEEPEST = 150


def _load_layers() -> None:
    from importlib import import_module

    import_module("rfcalc.layers").load()


LAYERS: Registry[type[Layer]] = Registry("layer kind", _load_layers)


class Expr:
    """Anything that can stand in a network: a layer, a combinator over expressions, a reference."""

    __slots__ = ()

    @property
    def count(self) -> Size:
        """How many nodes it makes."""
        return 1

    @property
    def depth(self) -> int:
        """How deeply combinators are nested in it."""
        return 0

    def __rshift__(self, other: Expr) -> Series:
        return Series((*_items(self, Series), *_items(other, Series))) if isinstance(other, Expr) else NotImplemented

    def __or__(self, other: Expr) -> Parallel:
        return _parallel(self, other, "concat")

    def __add__(self, other: Expr) -> Parallel:
        return _parallel(self, other, "add")

    def __mul__(self, other: Expr | int) -> Expr:
        if isinstance(other, Expr):
            return _parallel(self, other, "multiply")
        return repeat(self, other)

    def named(self, name: str) -> Named:
        """Give the value a name (of its last node)."""
        return Named(self, name)

    def block(self, name: str) -> Block:
        """Put a scope around it: names inside are dotted."""
        return Block(self, name)

    def stage(self, name: str) -> Stage:
        """Head the nodes inside as a stage."""
        return Stage(self, name)

    def shared(self, group: str) -> Shared:
        """Use the same weights wherever this group appears."""
        return Shared(self, group)

    def bind(self, values: dict[str, int]) -> Expr:
        """Put numbers in for repetition indices."""
        return self


def _items(expr: Expr, kind: type[Series]) -> tuple[Expr, ...]:
    return expr.items if isinstance(expr, kind) else (expr,)


def _parallel(a: Expr, b: Expr, kind: str) -> Parallel:
    if not isinstance(b, Expr):
        return NotImplemented
    merge = LAYERS[kind]()
    left = a.branches if isinstance(a, Parallel) and a.merge == merge else (a,)
    return Parallel((*left, b), merge)


def _measure(expr: Any, parts: Iterable[Expr], times: Size = 1) -> None:
    """Store how many nodes an expression makes and how deep it nests, and refuse what is too large."""
    count: Size = 0
    depth = 0
    for part in parts:
        if not isinstance(part, Expr):
            raise NetworkError(
                f"{part!r} is not a layer or a network expression", fix="use layers such as Conv(64, 3), or ref(name)"
            )
        count = count + part.count
        depth = max(depth, part.depth)
    count = count * times
    if decide(count > MOST_NODES):
        raise LimitError(f"a network of {count:,} nodes is too large", why=f"the limit is {MOST_NODES:,}")
    if depth >= DEEPEST:
        raise LimitError(
            "the combinators are nested too deeply",
            why=f"the limit is {DEEPEST} levels",
            fix="write long chains as series([...]), and skips with ref(name)",
        )
    object.__setattr__(expr, "count", count)
    object.__setattr__(expr, "depth", depth + 1)


def _wrapped(expr: Expr) -> str:
    """Source of an expression that something is to be appended to."""
    called = (isinstance(expr, Series) and expr.listed) or (isinstance(expr, Parallel) and not expr.sign)
    return repr(expr) if called or not isinstance(expr, (Series, Parallel, Repeat)) else f"({expr!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Series(Expr):
    """One after another."""

    items: tuple[Expr, ...]
    count: Size = field(init=False, compare=False)
    depth: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, self.items)

    def bind(self, values: dict[str, int]) -> Series:
        return Series(tuple(item.bind(values) for item in self.items))

    @property
    def listed(self) -> bool:
        """Whether it prints as a call, series([...]), and needs no parentheses."""
        return len(self.items) < 2 or len(self.items) > 60

    def __repr__(self) -> str:
        if self.listed:
            return "series([" + ", ".join(map(repr, self.items)) + "])"
        return " >> ".join(f"({i!r})" if isinstance(i, (Parallel, Series)) else repr(i) for i in self.items)


@dataclass(frozen=True, slots=True, repr=False)
class Parallel(Expr):
    """Branches over the same value, joined by a layer of several inputs."""

    branches: tuple[Expr, ...]
    merge: Layer
    count: Size = field(init=False, compare=False)
    depth: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, (*self.branches, self.merge))

    def bind(self, values: dict[str, int]) -> Parallel:
        return Parallel(tuple(b.bind(values) for b in self.branches), self.merge.bind(values))

    @property
    def sign(self) -> str:
        """The operator that it prints with; empty where it prints as a call, parallel([...])."""
        sign = _SIGNS.get(self.merge.kind, "")
        few = 2 <= len(self.branches) <= 60
        return sign if sign and few and self.merge == LAYERS[self.merge.kind]() else ""

    def __repr__(self) -> str:
        sign = self.sign
        if not sign:
            return f"parallel([{', '.join(map(repr, self.branches))}], {self.merge!r})"
        first, *others = self.branches
        parts = [f"({first!r})" if isinstance(first, (Series, Parallel, Repeat)) else repr(first)]
        parts += [_wrapped(b) for b in others]
        return f" {sign} ".join(parts)


_SIGNS = {"concat": "|", "add": "+", "multiply": "*"}


@dataclass(frozen=True, slots=True, repr=False)
class Repeat(Expr):
    """The same structure several times, each copy with weights of its own; `index` runs 0, 1, … through the copies."""

    body: Expr
    times: Size
    index: str | None = None
    count: Size = field(init=False, compare=False)
    depth: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", native(self.times))
        if not is_size(self.times) or decide(self.times < 1):
            raise NetworkError(f"cannot repeat {self.times!r} times", fix="give a whole number of at least 1")
        _measure(self, (self.body,), self.times)

    def copies(self) -> Iterable[Expr]:
        """The copies, one by one.

        Raises:
            OpenRepetition: the number of copies is a symbol.
        """
        if not is_number(self.times):
            raise OpenRepetition(
                f"the number of repetitions {self.times} is a symbol", fix="put a number in, or use the symbolic view"
            )
        for i in range(self.times):
            yield self.body if self.index is None else self.body.bind({self.index: i})

    def bind(self, values: dict[str, int]) -> Repeat:
        from rfcalc.core.index import bind

        inner = {k: v for k, v in values.items() if k != self.index}
        return Repeat(self.body.bind(inner), bind(self.times, values), self.index)

    def __repr__(self) -> str:
        if self.index is not None:
            return f"repeat({self.body!r}, {self.times!r}, {self.index!r})"
        times = str(self.times) if is_number(self.times) else f"({self.times!r})"
        return f"{_wrapped(self.body)} * {times}"


@dataclass(frozen=True, slots=True, repr=False)
class _Wrapper(Expr):
    """One expression with a label."""

    body: Expr
    label: str
    count: Size = field(init=False, compare=False)
    depth: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not self.label.strip():
            raise NetworkError(f"{self.label!r} is not a name", fix="give a text of at least one letter")
        _measure(self, (self.body,))

    def bind(self, values: dict[str, int]) -> Expr:
        return type(self)(self.body.bind(values), self.label)

    def __repr__(self) -> str:
        return f"{_wrapped(self.body)}.{_METHODS[type(self)]}({self.label!r})"


class Named(_Wrapper):
    """A name for the last node inside."""

    __slots__ = ()


class Block(_Wrapper):
    """A scope: names inside are dotted."""

    __slots__ = ()


class Stage(_Wrapper):
    """A heading over the nodes inside."""

    __slots__ = ()


class Shared(_Wrapper):
    """A weight group."""

    __slots__ = ()


_METHODS: dict[type[Expr], str] = {Named: "named", Block: "block", Stage: "stage", Shared: "shared"}


@dataclass(frozen=True, slots=True, repr=False)
class Side(Expr):
    """A branch that ends: what comes in passes by."""

    body: Expr
    count: Size = field(init=False, compare=False)
    depth: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _measure(self, (self.body,))

    def bind(self, values: dict[str, int]) -> Side:
        return Side(self.body.bind(values))

    def __repr__(self) -> str:
        return f"side({self.body!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Ref(Expr):
    """The value of the node or input of this name."""

    target: str

    @property
    def count(self) -> Size:
        return 0

    def __repr__(self) -> str:
        return f"ref({self.target!r})"


def series(items: Iterable[Expr]) -> Series:
    """One after another, as ``>>`` does, for chains of any length.

    >>> from rfcalc import Conv, ReLU, series
    >>> series([Conv(64, 3), ReLU()]) == Conv(64, 3) >> ReLU()
    True
    """
    flat: list[Expr] = []
    for item in items:
        flat += _items(item, Series)
    return Series(tuple(flat))


def parallel(branches: Iterable[Expr], merge: Layer) -> Parallel:
    """Branches joined by a layer of several inputs (Concat(), Add(), Multiply(), MatMul(), …)."""
    return Parallel(tuple(branches), merge)


def repeat(body: Expr, times: Size, index: str | Var | None = None) -> Repeat:
    """The same structure several times; with an index, its parameters may depend on the copy.

    >>> from rfcalc import Conv, Network, Var, repeat
    >>> i = Var("i")
    >>> [n.layer.dilation for n in Network(repeat(Conv(8, 2, dilation=2**i), 3, i)).nodes]
    [(1,), (2,), (4,)]
    """
    return Repeat(body, times, index if index is None or isinstance(index, str) else index.name)


def ref(name: str) -> Ref:
    """The value of the node (or input) called `name`."""
    return Ref(name)


def side(body: Expr) -> Side:
    """A branch that ends beside the main path."""
    return Side(body)
