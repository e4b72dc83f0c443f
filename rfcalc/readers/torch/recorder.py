"""A dispatch mode that records every ATen operator of a run in which only what hangs on the input is without data.

It stands where `torch.export` stands (before composite operators are decomposed), so that a convolution, a linear
layer, an attention product is one step; it makes no graph of its own.

1. Inputs are on the device ``meta``, and so is all that is computed from them: nothing is allocated, nothing computed.
2. What no input reaches is computed for real: buffers, attributes, constants, shapes. Code may ask for its values.
   Large computations on parameters, and very large constants, are left without data, unless `exact`.
3. Memory that is written with something without data has no values from then on, whatever it was before.
4. Real memory of the module that is written to is put back by `restore`.
5. Steps hold the tensors that the code has in its hands, so they can be told apart by identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
from torch.utils._python_dispatch import TorchDispatchMode

from rfcalc.core.fitting import as_fitting
from rfcalc.readers.builder.values import Frame
from rfcalc.readers.torch.dropped import attended
from rfcalc.readers.torch.meta import ran, written_over
from rfcalc.readers.torch.operators import OPERATORS, KnownSchema, operator, settled

MOST_OF_PARAMETERS = 1 << 14  # values of parameters that are computed with for real
MOST_TRIED = 1 << 20  # values that an operator is tried on
MOST_MADE = 1 << 24  # values of a constant that is made for real


@dataclass(slots=True, eq=False)
class Operation:
    """One operator that was called: its name (``conv2d``), its arguments by their names, what came out, and where."""

    name: str
    overload: str
    args: Mapping[str, Any]
    out: Any
    frame: Frame
    views: bool  # whether its result shares memory with its first argument
    writes: bool  # whether it writes over its first argument
    merging: bool = False  # whether code, whose lengths are watched, says that it merges the first axis with the next
    given: tuple[torch.Tensor, ...] = field(init=False)  # the tensors in its arguments
    outs: tuple[torch.Tensor, ...] = field(init=False)  # those that came out

    def __post_init__(self) -> None:
        self.given = held(self.args.values())
        self.outs = held((self.out,))

    @property
    def operator(self) -> str:
        return f"aten.{self.name}" if self.overload != "" else self.name


class ValuesAsked(Exception):
    """The code asked for values that are not there; the argument says by what (``int``, ``item``)."""


class Recorder(ProxyTorchDispatchMode):  # type: ignore[no-untyped-call]
    """Only the place of `torch.export`'s mode is inherited, no behaviour.

    Args:
        home: the device that the module is on, where real values are computed.
        weights: the memory of its parameters.
        exact: compute everything for real that no input reaches, whatever its size.
        training: whether the module trains, so that attention drops some of its weights, step by step.
    """

    def __init__(
        self,
        home: torch.device,
        weights: frozenset[int] = frozenset(),
        exact: bool = False,
        training: bool = False,
    ) -> None:
        TorchDispatchMode.__init__(self, torch._C.DispatchKey.PreDispatch)  # type: ignore[no-untyped-call]
        self.pre_dispatch = True
        self.home = home
        self.exact, self.training = exact, training
        self.steps: list[Operation] = []
        self.stack: list[Frame] = [Frame("", False)]
        self.written: set[int] = set()  # memory that was written to, by its storage
        self.times: dict[int, int] = {}  # how often real memory was written to
        self.empty: set[int] = set()  # memory whose values are not there any more
        self._twins: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # real tensors → without data
        self._own: set[int] = set()  # memory that was made in this run
        self._before: dict[int, tuple[torch.Tensor, int, Any]] = {}  # memory of the module → a tensor, version, values
        self._weights = weights
        self._last: tuple[KnownSchema, Any, Any] | None = None
        self._taken = True  # whether that one could be taken

    def __enter__(self) -> Any:
        return TorchDispatchMode.__enter__(self)  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> Any:
        return TorchDispatchMode.__exit__(self, *error)  # type: ignore[no-untyped-call]

    def blank(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor are not there."""
        if tensor.is_meta:
            return True
        return bool(self.empty) and memory_of(tensor) in self.empty

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch's compiler is not told to leave this alone: to tell it is to load it, for 0.6 s."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        known = OPERATORS.get(func) or operator(func)
        self._last, self._taken = (known, args, kwargs), False
        if torch._C._functorch.maybe_current_level() is not None:  # inside of vmap, of what has values
            return func(*args, **kwargs)
        if self.training and known.name == "scaled_dot_product_attention":
            bound = self._step(known, args, kwargs, None).args
            if bound["dropout_p"] > 0:
                with self:
                    return attended(bound)
        with torch._C.DisableTorchFunction(), torch._C._DisablePythonDispatcher():
            given = held((*args, *kwargs.values()) if kwargs else args)
            blank = any(t.is_meta for t in given) or (bool(self.empty) and any(self.blank(t) for t in given))
            if blank and known.shape_only:
                out = self._like(func, known, args, kwargs)
            elif blank or self._too_much(func, known, args, kwargs, given):
                out = self._without(func, known, args, kwargs)
            else:
                out = self._real(func, known, args, kwargs, given)
        self.steps.append(self._step(known, args, kwargs, out))
        self._taken = True
        return out

    def _step(self, known: KnownSchema, args: Any, kwargs: Any, out: Any) -> Operation:
        bound = dict(known.defaults)
        bound.update(zip(known.names, args, strict=False))
        bound.update(kwargs)
        if known.by_other:  # of it only shape and type matter
            bound["other"] = None
        return Operation(known.name, known.overload, bound, out, self.stack[-1], known.views, known.writes)

    @property
    def stopped(self) -> Operation | None:
        """The operator that was called last, whether it could be taken or not; its result is left out."""
        return None if self._last is None else self._step(*self._last, None)

    @property
    def refused(self) -> Operation | None:
        """The operator that was called last, if it could not be taken."""
        return None if self._taken else self.stopped

    def add(self, name: str, args: dict[str, Any], out: Any, views: bool = False, writes: bool = False) -> None:
        """Record a step that no operator stands for."""
        self.steps.append(Operation(name, "", args, out, self.stack[-1], views, writes))

    def emptied(self, tensor: torch.Tensor) -> None:
        """Say that the values of a tensor's memory are not there."""
        self.empty.add(memory_of(tensor))
        self.written.add(memory_of(tensor))

    # --- what no input reaches ----------------------------------------------------------------------------------

    def _real(self, func: Any, known: KnownSchema, args: Any, kwargs: Any, given: Sequence[torch.Tensor]) -> Any:
        """Compute it; memory that was there before the run is kept beside, to be put back."""
        if known.written and not known.reshapes:
            for place, name in known.written:
                for t in tensors((args[place] if place < len(args) else kwargs.get(name),)):
                    memory = memory_of(t)
                    self.written.add(memory)
                    self.times[memory] = self.times.get(memory, 0) + 1
                    if memory not in self._own and memory not in self._before:
                        self._before[memory] = (t.detach(), t._version, _copy(t))
        out = func(*args, **kwargs)
        if not known.views:
            theirs = {memory_of(t) for t in given}
            for t in tensors(out):
                if not t.is_meta and (memory := memory_of(t)) not in theirs:
                    self._own.add(memory)
        return out

    @property
    def once(self) -> frozenset[int]:
        """Memory of this run that holds what its only write left there."""
        gone = self.empty
        return frozenset(m for m, count in self.times.items() if count == 1 and m in self._own and m not in gone)

    def restore(self) -> None:
        """Put back the values of the module's memory that the run has written to."""
        for tensor, version, values in self._before.values():
            tensor.untyped_storage().copy_(values)
            torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))
        self._before.clear()

    def _too_much(self, func: Any, known: KnownSchema, args: Any, kwargs: Any, given: Sequence[torch.Tensor]) -> bool:
        """Whether something is drawn by chance, or so large that it is left without data until its values are asked."""
        if known.random and not settled(known, args, kwargs):
            return True
        if self.exact or known.views:
            return False
        if not given:
            sizes = [a for a in args if isinstance(a, (list, tuple, torch.Size))]
            made = 1
            for n in sizes[0] if sizes else ():
                made *= int(n) if isinstance(n, int) else 1
            return made > MOST_MADE
        values = sum(t.numel() for t in given)
        return values > MOST_OF_PARAMETERS and (values > MOST_MADE or any(memory_of(t) in self._weights for t in given))

    def _like(self, func: Any, known: KnownSchema, args: Any, kwargs: Any) -> Any:
        """What is made from a tensor's shape or type alone: of a stand-in that is never read."""
        place = 1 if known.by_other else 0
        if known.by_other and (len(args) < 2 or self.blank(args[0])):
            return self._without(func, known, args, kwargs)
        like = args[place]
        size = args[1] if known.name.startswith("new_") and len(args) > 1 else like.shape
        made = 1
        for n in size:
            made *= int(n)
        device = kwargs.get("device") or self.home
        if known.random or (made > MOST_MADE and not self.exact):
            return self._without(func, known, args, kwargs)
        stand_in = torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device)
        filled = [stand_in if i == place else a for i, a in enumerate(args)]
        out = func(*filled, **kwargs)
        for t in tensors(out):
            if not known.by_other:
                self._own.add(memory_of(t))
        return out

    # --- what hangs on the input --------------------------------------------------------------------------------

    def _without(self, func: Any, known: KnownSchema, args: Any, kwargs: Any) -> Any:
        """Run it on the device ``meta``.

        Raises:
            ValuesAsked: it gives a number, not a tensor.
        """
        if known.asks:
            raise ValuesAsked(known.name)
        if known.name == "masked_select" and not self.blank(args[1]):
            mask = args[1] & torch.ones((), dtype=torch.bool).expand(args[0].shape)
            return torch.empty(int(mask.sum()), dtype=args[0].dtype, device=_META)
        if known.name in _RECURRENT and known.overload == "input" and (found := walked(args)) is not None:
            return found
        originals: dict[int, torch.Tensor] = {}
        bare = [self._bare(a, known, originals) for a in args]
        named = {k: self._bare(a, known, originals) for k, a in kwargs.items()}
        for place, name in known.written:
            for t in tensors((args[place] if place < len(args) else kwargs.get(name),)):
                memory = memory_of(t)
                self.written.add(memory)
                if not t.is_meta:
                    self.empty.add(memory)
        if not originals and not held(args) and "device" in known.names:
            named["device"] = _META
        if named.pop("generator", None) is not None and "generator" not in known.defaults:
            named["generator"] = None
        if known.reshapes and not args[0].is_meta:  # the object itself changes its shape
            func(*args, **kwargs)
            return args[0]
        self._counted(known, args, bare, named)
        if known.name == "linear" and (found := self._as_if_fitting(*bare[:2])) is not None:
            return found
        try:
            drawn = known.random and not settled(known, args, kwargs)
            if known.written and not (known.views or drawn or known.reshapes):
                out = written_over(func, bare, named)
            elif known.views or drawn or known.reshapes:
                out = func(*bare, **named)
            else:
                out = ran(func, bare, named)
        except NotImplementedError:
            out = self._by_kernel(func, bare, named)
        if isinstance(out, torch.Tensor):
            return originals.get(id(out), out)
        if isinstance(out, (list, tuple)) and originals:
            return type(out)([originals.get(id(t), t) for t in out]) if type(out) in (list, tuple) else out
        return out

    def _as_if_fitting(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
        """What a linear layer gives whose weights are for another number of features, where that is asked for."""
        if (fitting := as_fitting()) is None or weight.dim() != 2 or not x.dim() or x.shape[-1] == weight.shape[1]:
            return None
        fitting.taken(len(self.steps))
        return torch.empty(*x.shape[:-1], weight.shape[0], dtype=x.dtype, device=_META)

    def _bare(self, a: Any, known: KnownSchema, originals: dict[int, torch.Tensor]) -> Any:
        """An argument without data."""
        if isinstance(a, torch.Tensor):
            if a.is_meta:
                return a
            twin = self.twin(a)
            originals[id(twin)] = a
            return twin
        if isinstance(a, torch.device):
            return _META
        if isinstance(a, (list, tuple)) and any(isinstance(t, torch.Tensor) for t in a):
            return [self._bare(t, known, originals) for t in a]
        return a

    def twin(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same tensor on the device ``meta``."""
        found = self._twins.get(id(tensor))
        if found is None or found[1].shape != tensor.shape:
            if tensor.layout == torch.strided:
                bare = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            else:
                bare = tensor.to("meta")
            found = self._twins[id(tensor)] = (tensor, bare)
        return found[1]

    def _counted(self, known: KnownSchema, args: Any, bare: list[Any], named: dict[str, Any]) -> None:
        """Where masks and counts are known, so is the size of what they pick: they are given as positions and sizes."""
        if known.name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            places: list[Any] = []
            for index, twin in zip(args[1], bare[1], strict=True):
                if index is None or index.dtype not in (torch.bool, torch.uint8) or self.blank(index):
                    places.append(twin)
                else:
                    places += [self.twin(i) for i in index.nonzero(as_tuple=True)]
            bare[1] = places
        elif known.name == "repeat_interleave" and known.overload == "self_Tensor" and not self.blank(args[1]):
            named["output_size"] = int(args[1].sum()) * (args[0].shape[args[2] or 0] if args[1].numel() == 1 else 1)

    def _by_kernel(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What an operator without a rule for shapes gives: its kernel runs without data, where that is possible; on
        numbers where it checks values of its own making (that windows overlap), if two sorts of them give the same."""
        from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode

        mode = FakeTensorMode()

        def fake(a: Any) -> Any:
            if isinstance(a, torch.Tensor):
                return FakeTensor(mode, a, torch.device("cpu"))
            if isinstance(a, torch.device):
                return torch.device("cpu")
            return [fake(t) for t in a] if isinstance(a, (list, tuple)) else a

        def bare(a: Any) -> Any:
            if isinstance(a, torch.Tensor):
                return torch.empty_strided(a.shape, a.stride(), dtype=a.dtype, device="meta")
            return type(a)([bare(t) for t in a]) if isinstance(a, (list, tuple)) else a

        try:
            with mode:
                out = func(*[fake(a) for a in args], **{k: fake(a) for k, a in kwargs.items()})
        except DataDependentOutputException as error:
            if sum(t.numel() for t in held((*args, *kwargs.values()))) > MOST_TRIED:
                raise
            found = []
            for filled in (self._ones, self._rising):
                try:
                    given = [filled(a) for a in args], {k: filled(a) for k, a in kwargs.items()}
                    found.append(bare(func(*given[0], **given[1])))
                except RuntimeError:
                    raise error from None
            one, other = ([(t.shape, t.dtype) for t in tensors([out])] for out in found)
            if one != other:
                raise
            return found[0]
        return bare(out)

    def _ones(self, a: Any) -> Any:
        """An argument without data as ones; what has values, as it is."""
        if isinstance(a, torch.Tensor):
            known = next((real for real, twin in self._twins.values() if twin is a and not self.blank(real)), None)
            return torch.ones(a.shape, dtype=a.dtype) if known is None else known.cpu()
        if isinstance(a, torch.device):
            return torch.device("cpu")
        return [self._ones(t) for t in a] if isinstance(a, (list, tuple)) else a

    def _rising(self, a: Any) -> Any:
        """The same as numbers that rise."""
        if isinstance(a, torch.Tensor):
            found = self._ones(a)
            if any(twin is a for _, twin in self._twins.values()):
                return found
            return torch.arange(1, a.numel() + 1).to(a.dtype).reshape(a.shape)
        return [self._rising(t) for t in a] if isinstance(a, (list, tuple)) else self._ones(a)


_META = torch.device("meta")
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def walked(args: Any) -> Any:
    """What a recurrent layer gives, without the many steps that it is decomposed into; None for packed sequences.

    It gives the states at all positions, and for each layer and direction the last one (of an LSTM, the cells too).
    """
    x, states, params, biases, layers, _, _, both, batch_first = args
    ways = 2 if both else 1
    each, spare = divmod(len(params), ways * layers)
    if spare or each - (4 if biases else 2) not in (0, 1):
        return None
    hidden = params[1].shape[1]
    cells = params[1].shape[0] // 4
    rows = x.shape[0 if batch_first else 1]

    def made(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=x.dtype, device="meta")

    out = made(*x.shape[:2], ways * hidden)
    state = (ways * layers, rows, hidden)
    if not isinstance(states, (list, tuple)):
        return out, made(*state)
    return out, made(*state), made(ways * layers, rows, cells)


def memory_of(tensor: torch.Tensor) -> int:
    """What tells the memory of a tensor from others', while it lives."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)


def _copy(tensor: torch.Tensor) -> Any:
    storage: Any = tensor.untyped_storage()
    return storage.clone()


_BARE = frozenset(
    [int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size]
)  # most arguments: nothing that holds tensors
_TENSORS = (torch.Tensor, torch.nn.Parameter)


def held(values: Iterable[Any]) -> tuple[torch.Tensor, ...]:
    """The tensors in arguments, or results, in order."""
    found: list[torch.Tensor] = []
    for value in values:
        kind = type(value)
        if kind in _TENSORS:
            found.append(value)
        elif kind not in _BARE:
            if isinstance(value, torch.Tensor):
                found.append(value)
            elif isinstance(value, Sequence) and not isinstance(value, str):
                found += held(value)
    return tuple(found)


def tensors(value: Any) -> tuple[torch.Tensor, ...]:
    """The tensors in an argument or result."""
    return held((value,))
