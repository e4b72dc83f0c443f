"""Tiles in several passes, run: a module whose normalisations and global pools use statistics of the whole image.

While the module runs, every call that takes statistics (`torch.nn.functional.group_norm`, `Tensor.mean`, …) is met in
the order in which the plan lists the nodes of its kind. A node whose statistics are known uses them; one that is being
gathered gives sums of the positions that belong to its tile; the run ends where all of them are gathered.

Sums are taken in float64, whatever the module's type: counts, sums and sums of squares, smallest and largest values.
They add up in any order; whole numbers below 2⁵³ add up exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rfcalc.core.errors import RfcalcError
from rfcalc.plan.passes import Tokens

Statistics = dict[str, Tensor]  # count, sum, square (sum of squares), absolute (sum of), low, high
ADDED = ("count", "sum", "square", "absolute")

KINDS = {  # what a function is called, and the kind of node (with its operation) that it is read as
    "group_norm": "groupnorm",
    "instance_norm": "instancenorm",
    "mean": "mean",
    "linalg_vector_norm": "reduce:norm",
    "nansum": "reduce:sum",
    **{name: f"reduce:{name}" for name in ("sum", "amax", "amin", "var", "std", "norm")},
    **{f"avg_pool{n}d": "avgpool" for n in (1, 2, 3)},
}
BOTH = {"var_mean": ("var", "mean"), "std_mean": ("std", "mean")}  # calls that are read as two nodes
EXTREMES = {"max": "amax", "min": "amin"}  # of all values, without an axis: as they are read
NORMS = ("norm", "linalg_vector_norm")
SPREADS = ("var", "std")
POOLS = {f"adaptive_{op}_pool{n}d": op for op in ("avg", "max") for n in (1, 2, 3)}


class _Gathered(Exception):
    """All that was asked for is there: the rest of the run is not needed."""


class InPasses:
    """A module that runs tiles with statistics of the whole image; see `in_passes`.

    Attributes:
        known: statistics by node name.
        calls: node names by kind, in the order in which they run.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.known: dict[str, Statistics] = {}
        self.calls: Mapping[str, tuple[str, ...]] = {}

    def knowing(self, plan: Any, known: dict[str, Statistics]) -> InPasses:
        """The same module with these statistics, for a plan's nodes."""
        found = copy(self)
        found.calls, found.known = plan.calls, known
        return found

    def __call__(self, tile: Any) -> Any:
        """The module's output for one tile (a dict of tiles, where there are several inputs)."""
        with torch.no_grad(), _Met(self, {}) as met:
            result = self.module(*tile.values()) if isinstance(tile, Mapping) else self.module(tile)
        met.checked()
        return result

    def gather(self, tile: Any, cuts: dict[str, Any]) -> dict[str, Statistics]:
        """The statistics of some nodes over the part of each map (an index) that belongs to a tile."""
        met = _Met(self, cuts)
        try:
            with torch.no_grad(), met:
                self.module(*tile.values()) if isinstance(tile, Mapping) else self.module(tile)
        except _Gathered:
            return met.found
        missing = next(name for name in cuts if name not in met.found)
        met_ = ", ".join(sorted({*KINDS, *POOLS, *BOTH, "einsum"}))
        told = f"the module makes it by none of the calls that are met: {met_}"
        raise _strange(missing, told, "make it by one of them, or plan with the module that is run")

    @staticmethod
    def merged(one: Statistics, other: Statistics) -> Statistics:
        """The statistics of two parts together."""
        found = {name: one[name] + other[name] for name in ADDED}
        found["low"] = torch.minimum(one["low"], other["low"])
        found["high"] = torch.maximum(one["high"], other["high"])
        return found


def in_passes(module: nn.Module) -> InPasses:
    """A PyTorch module as a function for `PassPlan.run`: it gathers statistics tile by tile, then uses them.

    >>> import torch
    >>> from torch import nn
    >>> import rfcalc
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 3, padding=1)).double()
    >>> plan = rfcalc.tile(net, "1x64x64", tiles="2x2", passes=True)
    >>> image = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    >>> with torch.no_grad():
    ...     print(bool(torch.allclose(plan.run(rfcalc.in_passes(net), image), net(image), rtol=0, atol=1e-12)))
    True

    Args:
        module: the module that was planned, in evaluation mode; tiles are given to it as they are cut from the source,
            so the source has the batch and the channels that the module wants.

    Raises:
        RfcalcError: it is no torch module.
    """
    if not isinstance(module, nn.Module):
        raise RfcalcError(f"{type(module).__name__} is no torch module", fix="give a module: in_passes(Net().eval())")
    return InPasses(module)


class _Met(TorchFunctionMode):
    """Meets the calls of one run."""

    def __init__(self, run: InPasses, cuts: dict[str, Any]) -> None:
        super().__init__()
        self.run, self.cuts = run, cuts
        self.counts: dict[str, int] = {}
        self.found: dict[str, Statistics] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "").strip("_")
        if name in BOTH:
            return tuple(self._met(one, getattr(torch, one), args, kwargs) for one in BOTH[name])
        if name == "einsum" and (told := _summed(args)) is not None:
            x, axes, order = told
            return self._met("sum", torch.sum, (x, axes), {}).permute(order)
        if name == "normalize":  # it takes its norm where no call is met
            return self._normalize(*args, **kwargs)
        return self._met(name, function, args, kwargs)

    def _normalize(self, input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Tensor:  # noqa: A002
        """`torch.nn.functional.normalize`."""
        norm: Tensor = self._met("linalg_vector_norm", torch.linalg.vector_norm, (input, p, dim, True), {})
        return torch.div(input, norm.clamp_min(eps), out=out)

    def _met(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        kind = f"adaptive_pool:{POOLS[name]}" if name in POOLS else KINDS.get(name)
        if name in EXTREMES and len(args) + len(kwargs) == 1:
            kind = f"reduce:{name}"
        if kind is None or (name == "instance_norm" and not _instances(args, kwargs)):
            return function(*args, **kwargs)
        if kind == "avgpool" and kind not in self.run.calls:
            return function(*args, **kwargs)
        place = self.counts.get(kind, 0)
        self.counts[kind] = place + 1
        names = self.run.calls.get(kind, ())
        if place >= len(names):
            raise _strange(name, f"it is called more often than the plan has nodes of its kind ({len(names)})")
        node = names[place]
        if node not in self.run.known and node not in self.cuts:
            return function(*args, **kwargs)
        call = _StatisticsCall(node, name, args, kwargs)
        if node in self.run.known:
            with torch._C.DisableTorchFunction():
                return call.used(self.run.known[node])
        with torch._C.DisableTorchFunction():
            self.found[node] = call.taken(self.cuts[node])
            if len(self.found) == len(self.cuts):
                raise _Gathered
            return call.used(self.found[node])  # nothing that is gathered in this pass depends on its values

    def checked(self) -> None:
        """Refuse a run that left out a node of the plan."""
        for kind, names in self.run.calls.items():
            if self.counts.get(kind, 0) < len(names) and set(names) & set(self.run.known):
                raise _strange(names[self.counts.get(kind, 0)], "the module does not call it")


def _summed(args: Any) -> tuple[Tensor, tuple[int, ...], list[int]] | None:
    """The operand of an `einsum` that is a plain sum, the axes that it sums over, and the order of those that are left;
    None for other ones.

    >>> _summed(("bchw -> cb", torch.zeros(1, 2, 3, 4)))[1:]
    ((2, 3), [1, 0])
    """
    equation, *operands = args
    operands = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    if not isinstance(equation, str) or len(operands) != 1:
        return None
    read, arrow, made = equation.replace(" ", "").partition("->")
    dots = "".join(map(chr, range(0x100, 0x100 + operands[0].dim() - len(read.replace("...", "")))))
    read = read.replace("...", dots)
    made = made.replace("...", dots) if arrow else dots + "".join(sorted(c for c in set(read) if read.count(c) == 1))
    axes = tuple(i for i, c in enumerate(read) if c not in made)
    left = [c for c in read if c in made]
    if not axes or len(set(read)) < len(read):
        return None
    return operands[0], axes, [left.index(c) for c in dict.fromkeys(made)]


def _instances(args: Any, kwargs: Any) -> bool:
    """Whether instance normalisation takes the statistics of what it is given."""
    return bool(kwargs.get("use_input_stats", args[5] if len(args) > 5 else True))


def _strange(node: str, why: str, fix: str = "plan with the module that is run") -> RfcalcError:
    return RfcalcError("the module's calls are not those of the plan", where=node, why=why, fix=fix)


class _StatisticsCall:
    """One call that takes statistics: over which axes, and what it makes of them."""

    def __init__(self, node: str, name: str, args: Any, kwargs: Any) -> None:
        self.node, self.name, self.kwargs = node, name, kwargs
        self.x: Tensor = args[0] if args else kwargs["input"]
        self.rest = args[1:]
        if name == "nansum":
            self.name, self.x = "sum", torch.where(self.x.isnan(), 0, self.x)

    def _given(self, place: int, *names: str, default: Any = None) -> Any:
        if len(self.rest) > place:
            return self.rest[place]
        return next((self.kwargs[n] for n in names if n in self.kwargs), default)

    @property
    def dtype(self) -> torch.dtype:
        """What the result is stored in: a sum of truths, or of whole numbers, counts."""
        counts = self.name == "sum" and not (self.x.is_floating_point() or self.x.is_complex())
        return self.kwargs.get("dtype") or (torch.int64 if counts else self.x.dtype)

    @property
    def groups(self) -> int | None:
        """Groups of channels that are normalised together; None for what is no normalisation."""
        if self.name == "group_norm":
            return int(self._given(0, "num_groups"))
        return self.x.shape[1] if self.name == "instance_norm" else None

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes over which statistics are taken, in the map (or in its groups, which come behind the batch)."""
        x = self.x
        if self.groups is not None:
            return tuple(range(2, x.dim() + 1))
        if self.name in POOLS or self.name.startswith("avg_pool"):
            return tuple(range(-int(self.name[-2]), 0))
        axes = self._given(1 if self.name in NORMS else 0, "dim", "axis")
        if axes is None:
            return tuple(range(x.dim()))
        return (axes,) if isinstance(axes, int) else tuple(axes)

    def taken(self, cut: Any) -> Statistics:
        """Statistics of a part of the map."""
        x = self.x
        if isinstance(cut, Tokens):  # rows and columns lie along one axis
            part = x.reshape(*x.shape[:-1], *cut.sizes)[cut.index]
            part = part.reshape(*x.shape[:-1], -1)
        else:
            part = x[cut]
        part = part.to(torch.float64) if part.is_floating_point() or part.dtype == torch.bool else part
        if self.groups is not None:
            part = part.reshape(part.shape[0], self.groups, -1, *part.shape[2:])
        count = 1
        for axis in self.axes:
            count *= part.shape[axis]
        axes = self.axes
        return {
            "count": torch.tensor(count),
            "sum": part.sum(axes, keepdim=True),
            "square": (part * part).sum(axes, keepdim=True),
            "absolute": part.abs().sum(axes, keepdim=True),
            "low": part.amin(axes, keepdim=True),
            "high": part.amax(axes, keepdim=True),
        }

    def used(self, known: Statistics) -> Tensor:
        """The result with the statistics of the whole."""
        x, n = self.x, known["count"]
        mean = known["sum"] / n
        if self.groups is not None:
            return self._normalised(mean, (known["square"] / n - mean * mean).clamp_min(0))
        if self.name.startswith("avg_pool"):
            return mean.to(x.dtype)
        if self.name in POOLS:
            return (mean if POOLS[self.name] == "avg" else known["high"]).to(x.dtype)
        value = self._value(known, mean).to(self.dtype)
        later = self.name in NORMS or self.name in SPREADS
        if self._given(2 if later else 1, "keepdim", "keepdims", default=False):
            return value
        for axis in sorted((a % x.dim() for a in self.axes), reverse=True):
            value = value.squeeze(axis)
        return value

    def _value(self, known: Statistics, mean: Tensor) -> Tensor:
        if self.name in SPREADS:
            correction = self.kwargs.get("correction", self._given(1, "unbiased", default=True))
            n = known["count"]
            spread = (known["square"] - n * mean * mean).clamp_min(0) / (
                n - int(1 if correction is None else correction)
            )
            return spread.sqrt() if self.name == "std" else spread
        if self.name in NORMS:
            order = self._given(0, "p", "ord", default=2)
            if order in (1, inf):
                return known["absolute"] if order == 1 else torch.maximum(known["low"].abs(), known["high"].abs())
            if order not in (2, "fro", None):
                fix = "use order 1, 2 or infinity"
                raise RfcalcError(f"a norm of order {order} is not gathered", where=self.node, fix=fix)
            return known["square"].sqrt()
        return {"mean": mean, "sum": known["sum"], "amax": known["high"], "amin": known["low"]}[
            EXTREMES.get(self.name, self.name)
        ]

    def _normalised(self, mean: Tensor, variance: Tensor) -> Tensor:
        x = self.x
        assert self.groups is not None
        place = {"group_norm": (1, 2, 3), "instance_norm": (2, 3, 6)}[self.name]
        weight, bias = self._given(place[0], "weight"), self._given(place[1], "bias")
        eps = self._given(place[2], "eps", default=1e-5)
        groups = x.to(torch.float64).reshape(x.shape[0], self.groups, -1, *x.shape[2:])
        y: Tensor = ((groups - mean) / (variance + eps).sqrt()).reshape(x.shape)
        shape = (1, -1, *(1,) * (x.dim() - 2))
        y = y if weight is None else y * weight.reshape(shape)
        y = y if bias is None else y + bias.reshape(shape)
        return y.to(x.dtype)
