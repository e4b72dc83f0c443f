"""What a user's module does to the scores of attention, in numbers: a factor, and a bias by the distance of a pair.

The module runs for real, twice, on random numbers. Where the scores are made and where the softmax takes them, what is
there is kept: scores s and t = a·s + b. The two runs give a; b is what is left, and must be the same in both. A bias
that depends on the distance of query and key alone goes on at any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rfcalc.core.errors import Unsupported
from rfcalc.core.masks import Mask, allowed
from rfcalc.graph.forward import Walked
from rfcalc.graph.network import Network
from rfcalc.layers.general import AttentionProduct
from rfcalc.plan.attention import Scores, with_layers
from rfcalc.readers.torch.recorder import Recorder

AGAIN = "add a bias that depends on the distance of query and key alone, multiply by one number"


def _inputs(module: nn.Module, walked: Walked, seed: int) -> list[Tensor]:
    """Random inputs of a network, of the module's type, for a batch of one."""
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    made = torch.Generator().manual_seed(seed)
    shapes = walked.shapes[: walked.network.arity]
    return [torch.randn(1, *s.dims, generator=made).to(first.device, first.dtype) for s in shapes]


class _Watch(Recorder):  # type: ignore[no-untyped-call]
    """Keeps what some operators give or take in a run for real, by their number; stands where the recorder stands."""

    def __init__(self, given: set[int], taken: set[int]) -> None:
        super().__init__(torch.device("cpu"))
        self.given, self.taken = given, taken
        self.names: list[str] = []
        self.found: dict[tuple[str, int], Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        number, kwargs = len(self.names), kwargs or {}
        self.names.append(func._schema.name.partition("::")[2])
        if number in self.taken:
            names = [a.name for a in func._schema.arguments]
            bound = {**dict(zip(names, args, strict=False)), **kwargs}
            self.found["taken", number] = {n: v.clone() if isinstance(v, Tensor) else v for n, v in bound.items()}
        with torch._C.DisableTorchFunction(), torch._C._DisablePythonDispatcher():
            out = func(*args, **kwargs)
        if number in self.given:
            self.found["given", number] = out.clone()
        return out


def with_scores(
    module: nn.Module, read: Any, network: Network, scores: dict[str, Scores], walked: Walked
) -> tuple[Network, dict[str, Tensor]]:
    """The network with the factors and biases of its attentions, and the biases (heads × differences).

    Args:
        module: the user's module; `read`, what was read of it; `walked`, the walk of that.
        network, scores: what `plan.attention.gathered` gives.

    Raises:
        Unsupported: something else is done to the scores.
    """
    steps = read.network.source.steps
    given = {steps[s.product] for s in scores.values()}
    taken = {steps[s.softmax] for s in scores.values()}
    runs = [_inputs(module, walked, seed) for seed in (1, 2)]
    first, second = watched = [_run(module, xs, _Watch(given, taken)) for xs in runs]
    layers: dict[str, AttentionProduct] = {}
    tables: dict[str, Tensor] = {}
    for name, at in scores.items():
        layer = network.nodes[network.position(name) - network.arity].layer
        assert isinstance(layer, AttentionProduct)
        origin = read.origins[at.softmax]
        number = steps[at.softmax]
        if any(watch.names[number : number + 1] != [origin.name] for watch in watched):
            raise Unsupported("what is done to its scores was not found when the module ran", where=name)
        if at.product == at.softmax:
            bias = first.found["taken", number].get("attn_mask")
            scale, rest = layer.scale, _numbers(bias)
            changes = not torch.equal(rest, _numbers(second.found["taken", number].get("attn_mask")))
        else:
            pairs = [(w.found["given", steps[at.product]], w.found["taken", number]["self"]) for w in watched]
            scale, rest, changes = _affine(pairs)
        if changes:
            why = "what is done to its scores is more than a factor and a bias that is the same for every input"
            raise Unsupported("this attention cannot be run in pieces", where=name, why=why, fix=AGAIN)
        made, table = _by_distance(name, rest, layer.mask)
        layers[name] = AttentionProduct(mask=layer.mask, scale=scale, offsets=made)
        if table is not None:
            tables[name] = table
    return with_layers(network, layers), tables


def _run(module: nn.Module, xs: Sequence[Tensor], watch: _Watch) -> _Watch:
    from torch._dispatch.python import enable_python_dispatcher

    from rfcalc.readers.torch.recording import _plain_attention
    from rfcalc.readers.torch.untouched import untouched

    with untouched(module), _plain_attention(), torch.no_grad(), enable_python_dispatcher():
        for m in module.modules():
            m.training = False
        with watch:
            module(*xs)
    return watch


def _numbers(bias: Tensor) -> Tensor:
    return torch.zeros(bias.shape).masked_fill(~bias, -torch.inf) if bias.dtype == torch.bool else bias


def _affine(pairs: list[tuple[Tensor, Tensor]]) -> tuple[float | None, Tensor, bool]:
    """The factor and what is added, where the second tensors are affine in the first ones; whether they are not."""
    (s, t), (s2, t2) = pairs
    if s.shape != t.shape or s.shape != s2.shape:
        return None, t, True
    steep, rise = (s2 - s).double(), (t2 - t).double()
    kept = rise.isfinite() & (rise != 0) & (steep.abs() > steep.abs().max() * 1e-2)
    if not bool(kept.any()):
        return None, t, True
    factor = float((rise[kept] * steep[kept]).sum() / (steep[kept] ** 2).sum())
    near = 1e-9 if t.dtype == torch.float64 else 1e-3
    rest, rest2 = (b - factor * a for a, b in pairs)
    there = rest.isfinite() & (rest > -1e8)  # a mask may be a very low number
    size = max(float(v[there].abs().max()) for v in (s, t) if bool(there.any()))
    same = bool((rest[there] - rest2[there]).abs().max() <= near * max(size, 1e-6))
    return factor, rest, not same


def _by_distance(name: str, rest: Tensor, mask: Mask) -> tuple[tuple[int, int, int] | None, Tensor | None]:
    """A bias of … × heads × queries × keys as a table of distances; None where it is zero wherever the mask is open.

    Raises:
        Unsupported: pairs of the same distance have different biases.
    """
    queries, keys = rest.shape[-2:]
    rest = rest.double()
    while rest.dim() > 3:
        if not bool((rest == rest[:1]).all() if rest.is_floating_point() else True) and not _alike(rest):
            why = "its bias is not the same for every item of the batch"
            raise Unsupported("this attention cannot be run in pieces", where=name, why=why, fix=AGAIN)
        rest = rest[0]
    rest = rest.reshape(-1, queries, keys)
    if not isinstance(mask, (str, tuple)) or mask is None:
        return None, None  # it sees everything: a blocker of its own
    size = float(rest[rest.isfinite() & (rest > -1e8)].abs().max())
    found: dict[int, list[Tensor]] = {}
    for q in range(queries):
        for k in allowed(mask, q, keys):  # type: ignore[arg-type]
            found.setdefault(q - k, []).append(rest[:, q, k])
    first, last = min(found), max(found)
    columns = []
    for distance in range(first, last + 1):
        here = torch.stack(found.get(distance, [rest.new_zeros(len(rest))]))
        if float((here - here[:1]).abs().max()) > 1e-5 * max(size, 1.0):
            why = f"pairs of a query and a key at the distance {distance} have different biases"
            fix = "add a bias that depends on the distance of query and key alone"
            raise Unsupported("this attention cannot be run in pieces", where=name, why=why, fix=fix)
        columns.append(here.mean(0))
    table = torch.stack(columns, 1)
    if float(table.abs().max()) <= 1e-12 * max(size, 1.0):
        return None, None
    table = table[:1] if bool((table == table[:1]).all()) else table
    return (first, last, len(table)), table


def _alike(rest: Tensor) -> bool:
    first = rest[:1].nan_to_num()
    return bool((rest.nan_to_num() - first).abs().max() <= 1e-5 * max(float(first.clamp_min(-1e8).abs().max()), 1.0))
