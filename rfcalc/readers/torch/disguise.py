"""Tensors without data look like those that the code would have, and what code asks of their lengths is noted."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import FrameType, FunctionType
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode

from rfcalc.core.lengths import Asked, Condition, Expression, Given, Length, Share, lose, plain, watching
from rfcalc.core.noticed import caller, noticed
from rfcalc.core.plainly import beyond, larger, made_in, numbers, parts_of
from rfcalc.readers.torch.asking import (
    ALONG,
    ASKING,
    COUNTS,
    FITTING,
    FLATTENS,
    GIVING,
    INSERTING,
    LIKE,
    LOSSES,
    NARROWING,
    OF_TABLES,
    PICKING,
    PIECES,
    SELECTING,
    SIZES,
    SQUEEZING,
    STRIDED,
    VIEWS,
    Sizes,
    by_lengths,
    by_values,
    cut_axes,
    cut_out,
    indexed,
    lengths_of,
    merges,
    one_at,
    picked,
    pieces,
    positions,
)
from rfcalc.readers.torch.asserting import catches
from rfcalc.readers.torch.demanding import (
    ATTENTION,
    COVARIANCES,
    DEMANDING,
    DRAWING,
    FILLING,
    KEEPING,
    as_masked,
    compared,
)
from rfcalc.readers.torch.extremes import Extremes
from rfcalc.readers.torch.higher_order import plain as undone
from rfcalc.readers.torch.recorder import Operation, Recorder, memory_of, tensors
from rfcalc.readers.torch.shaping import shaped
from rfcalc.readers.torch.special import SPECIAL
from rfcalc.readers.torch.unchecked import NORMALISING, RAISING_INDEX_ERROR, cannot_run

UNTOLD = NARROWING | DRAWING | FILLING  # what demands sizes that no layer does
FLAGGING = frozenset(("torch.nn.modules.transformer",))  # it asks whether masks are causal, and does the same
RUNNING = "rfcalc.readers.torch.recording"  # which calls the code


class Disguise(TorchFunctionMode):
    """What is asked of a tensor without data in Python, before it reaches an operator."""

    def __init__(self, recorder: Recorder, caught: Callable[[Disguise], None]) -> None:
        super().__init__()
        self.recorder = recorder
        self.assumed: dict[str, None] = {}  # conditions that were taken to hold, with file and line
        self.given: dict[int, str] = {}  # the inputs, by identity
        self.sizes_asked = False  # whether the code may have seen a size of something without data
        self.catching = False  # whether code that calls operators, directly or not, catches errors
        self._frames: dict[int, FrameType] = {}  # of the call before
        self.made: dict[int, tuple[torch.Tensor, tuple[Any, ...]]] = {}  # by identity: made of these lengths
        self.extremes = Extremes()
        self.calling: tuple[Any, Any, Any] | None = (
            None  # the call that is running, or was refused, as the code made it
        )
        self.inserted: dict[int, tuple[torch.Tensor, int]] = {}  # by identity: the axis that was put in
        self.unmet: list[Condition] = []  # what that call demands and does not get
        self.refused: Operation | None = None  # the step of it that would not run with data
        self.outer = sys.exc_info()[1]  # what was being handled when the code was called
        self.caught = caught  # what is called where the code goes on although one was refused
        self.watched = watching()
        if self.watched is not None:
            self.watched.clear()  # a module that is run once more

    def _calling(self) -> None:
        """Note whose code it is that calls an operator."""
        frame: FrameType | None = sys._getframe(2)
        frames: dict[int, FrameType] = {}
        known = False
        while frame is not None and (name := frame.f_globals.get("__name__", "")) != RUNNING:
            known = known or self._frames.get(id(frame)) is frame
            if not known and not name.startswith(("torch.", "rfcalc.")):
                self.catching = self.catching or catches(frame.f_code)
            frames[id(frame)] = frame
            frame = frame.f_back
        self._frames = frames

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calling()
        first = next((name for name in ("input", "tensor") if name in kwargs), None) if kwargs and not args else None
        if first is not None and kwargs.keys().isdisjoint(_BEFORE_INPUT):  # by its name
            args, kwargs = (kwargs[first],), {name: value for name, value in kwargs.items() if name != first}
        since, asked = (len(self.watched.given), len(self.watched.conditions)) if self.watched is not None else (0, 0)
        run, args = args, self.extremes.counted(func, args)
        if func in PICKING and self.blank(args[0]):
            self.sliced(args[0], args[1] if isinstance(args[1], tuple) else (args[1],), func is _T.__setitem__)
        if func in SQUEEZING and self.blank(args[0]):
            self.squeezed(args[0], args[1] if len(args) > 1 else (kwargs or {}).get("dim"))
        if func in COVARIANCES and self.blank(args[0]) and args[0].dim() > 1:
            self.squeezed(args[0], 0)
        unfollowed = not compared(func, args, kwargs or {})
        if func in FITTING and any(self.blank(i) for i, *_ in indexed(func, args, kwargs or {})):
            self.sizes_asked = True  # whether positions that values say lie in a table
        if unfollowed or func in UNTOLD or (func in STRIDED and self.blank(args[0]) and not args[0].is_contiguous()):
            self.sizes_asked = True  # what a part must have; how a tensor lies in memory
        steps, met = len(self.recorder.steps), True
        if self.watched is None:
            out = self._called(func, run, kwargs)
            if self.catching:
                self._would_run(steps, met)
            return out
        self.goes_on()
        if func is torch.einsum and args and isinstance(args[0], str):
            self.joined(args[0], args[1] if isinstance(args[1], (tuple, list)) else args[1:])
        told = args
        if func in LIKE and len(args) > 1 and self._varies(args[1]):
            told = args[0], Sizes(self.lengths(args[1]))
        if func in VIEWS and func not in FLATTENS and self._varies(args[0]):
            sizes = args[1:] or (kwargs or {}).get("shape", ())
            self._as_one_item(args[0], sizes[0] if sizes and isinstance(sizes[0], (tuple, list)) else sizes)
        self.calling = func, told, kwargs
        if func in NARROWING:
            _ = [n >= 0 for n in (*args[1:], *(kwargs or {}).values()) if type(n) is Length]
        computed: list[Any] = []
        with suppress(AttributeError, IndexError, TypeError, ValueError):  # called in a form that PyTorch refuses
            if (demands := DEMANDING.get(func)) is not None and self._varies(args[0]):
                met = demands(self.lengths(args[0]), *args[1:], **kwargs or {})
            if func is ATTENTION and all(self._hangs(t) is None for t in tensors((args, kwargs))):
                met = as_masked(self.lengths(args[0]), *args[1:], **kwargs or {})
            if (computing := GIVING.get(func)) is not None and (func in OF_TABLES or self._varies(args[0])):
                self._gives(computed := [*computing(func, args, kwargs or {}, self.lengths(args[0]))])
        if func in LOSSES:
            met = self._same_places(*args[:2], **kwargs or {}) and met
        if unfollowed:
            for length in made_in([args, kwargs or {}, *map(self.lengths, tensors((args, kwargs)))]):
                lose(length.made)
        lengths: Any = self._cut(func, args)
        given = [*made_in((*told, kwargs) if lengths is None else (*positions(args[1]), *lengths))]
        self._gives(given)
        if any(type(n) is Share for n in given):  # a factor
            given += computed
        hanging = self._hanging((*args, kwargs), given)
        number = self.extremes.of(args[0]) if func in (_T.item, _T.__bool__) else None
        asks = func in ASKING and number is None and sys._getframe(1).f_globals.get("__name__") not in FLAGGING
        if func is _T.__int__ and self.extremes.of(args[0]) is not None:
            noticed(caller(("rfcalc.", "torch.")), "int")
        if any(type(n) is int for n in given):
            lose(hanging)
        if func in FITTING and lengths is None and (hanging is not None or self.extremes):
            met = self._fits(func, args, kwargs or {}, hanging) and met
        self.unmet, self.refused = [] if met else self.watched.conditions[asked:], None
        if hanging is not None and (asks or by_values(func, args, kwargs or {}, self._hangs)):
            lose(hanging)
        if hanging is not None and lengths is None:
            lengths = lengths_of(func, args, kwargs or {})
            if func is torch.arange and lengths is not None:
                self._gives(made_in(lengths))
            if lengths is None and func not in PICKING:
                lengths = shaped(func, args, kwargs or {}, self._known)
        merging = self.watched.as_written and func in VIEWS and merges(func, args)
        called, named = args, kwargs or {}
        known = hanging is not None or self.extremes.concern(func, called)
        followed = self.extremes.followed(func, called, named, self._varies, self.lengths) if known else []
        args, kwargs = numbers(tuple(run)), numbers(kwargs)
        try:
            out = self._called(func, args, kwargs)
        except Exception as error:  # whether lengths are why, where there are no maps
            error.by_lengths = hanging is not None and not any(map(self.blank, tensors(args)))  # type: ignore[attr-defined]
            raise
        self._would_run(steps, met)
        self._makes(out, lengths)
        if func in INSERTING and isinstance(out, torch.Tensor):
            axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
            self.inserted[id(out)] = out, axis % out.dim()
        if merging and self.recorder.steps and self.recorder.steps[-1].out is out:
            self.recorder.steps[-1].merging = True
        if len(self.watched.given) > since:
            self.watched.ran(since, len(self.recorder.steps))
        if known or self.extremes:
            hangs = hanging is not None or any(map(self.extremes.hang, tensors((called, kwargs))))
            self.extremes.made(followed, out, self.blank, hangs)
        if hanging is not None:
            fixed = {memory_of(t) for t in tensors(args) if memory_of(t) not in self.watched.hanging}
            if func is _T.__setitem__ and not self.blank(args[0]):
                self.watched.hanging[memory_of(args[0])] = args[0], hanging
            for t in tensors((out,)):
                if not self.blank(t):  # of a table, a part hangs on lengths, and the table does not
                    self.watched.hanging[id(t) if (memory := memory_of(t)) in fixed else memory] = t, hanging
        if isinstance(out, (tuple, list)) and getattr(func, "__name__", "") in PIECES and self._varies(args[0]):
            lose(Asked(len(self.recorder.steps), len(out)))
            lengths = self._remembering(_T.shape.__get__, args[:1], {}, args[0].shape)
            pieces(func, called, named, lengths, len(out))
        self.calling = None
        return number if func is _T.item and number is not None else out

    def _would_run(self, since: int, met: bool) -> None:
        """Refuse what PyTorch lets pass without data, and refuses with it."""
        for number, step in enumerate(self.recorder.steps[since:], since):
            if met and not self.catching and step.name not in NORMALISING and all(t.numel() for t in step.given):
                continue
            if (wrong := cannot_run(step, self.recorder.written)) is not None:
                self.refused = step
                del self.recorder.steps[number:]
                kind = IndexError if step.name.rstrip("_") in RAISING_INDEX_ERROR else RuntimeError
                raise kind(f"{wrong.what}: {wrong.why}")
        if not met:
            raise RuntimeError("it is given other sizes than it takes")

    def _same_places(self, x: Any, target: Any = None, **_: Any) -> bool:
        """Whether a loss has a class for each position."""
        if not isinstance(target, torch.Tensor) or target.dim() != x.dim() - 1 or x.dim() < 3:
            return True
        places = zip(self.lengths(x)[2:], self.lengths(target)[1:], strict=True)
        return all(a is b or bool(a == b) for a, b in places)

    def goes_on(self) -> None:
        """Note why a call was refused, where the code goes on behind it."""
        if self.calling is not None:
            self.caught(self)
            self.calling = None

    def lengths(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        """The lengths of a tensor, such that those that may vary are asked of it."""
        if not self._varies(tensor):
            return tuple(tensor.shape)
        return tuple(self._remembering(_T.shape.__get__, (tensor,), {}, tensor.shape))

    def _as_one_item(self, x: torch.Tensor, given: Any) -> None:
        """Note whether the values of a map make one item of a size that code gives (``view(-1, 400)``), or several."""
        if len(given) == 2 and type(given[1]) is type(given[0]) is int and given[0] == -1 and given[1] > 0:
            values = math.prod(self.lengths(x))
            _ = values % given[1] == 0 and values == given[1]

    def _varies(self, value: Any) -> bool:
        """Whether a tensor may have another size at other sizes of the input."""
        assert self.watched is not None
        return isinstance(value, torch.Tensor) and (self.blank(value) or self._hangs(value) is not None)

    def _makes(self, out: Any, lengths: Any) -> None:
        """Note the lengths of what came out."""
        pairs = zip(out, lengths, strict=False) if isinstance(lengths, list) and type(out) in (tuple, list) else ()
        for t, made in pairs or [(out, lengths)]:
            if isinstance(made, tuple) and isinstance(t, torch.Tensor) and t.shape == numbers(made):
                self.made[id(t)] = t, made

    def _known(self, value: Any) -> tuple[Any, ...] | None:
        """The lengths of a tensor with values, as far as they are known."""
        if self.blank(value):
            return None
        found = self._made_of(value)
        return found if found is not None or self._hangs(value) is not None else tuple(value.shape)

    def _made_of(self, value: Any) -> tuple[Any, ...] | None:
        """The lengths that a tensor was made of."""
        tensor, lengths = self.made.get(id(value), (None, None))
        return lengths if tensor is value else None

    def _gives(self, given: Iterable[Any]) -> None:
        """Note the lengths that an operator is called with, or computes with."""
        assert self.watched is not None
        steps = len(self.recorder.steps)
        self.watched.given.extend([Given(steps, n.made, n.value) for n in given if type(n) is Length])

    def _hanging(self, args: Any, given: Sequence[Any]) -> Any:
        """The lengths that values hang on which an operator is given; None where there are none."""
        assert self.watched is not None
        made: Any = None
        for value in given:
            for part in value.parts if type(value) is Share else (value,):
                made = Expression("lost", made, part.made) if type(part) is Length else made
        for t in tensors(args) if self.watched.hanging else ():
            found = self._hangs(t)
            if found is not None:
                made = Expression("lost", made, found)
        return made

    def _hangs(self, t: torch.Tensor) -> Any:
        """The lengths that the values of a tensor hang on."""
        assert self.watched is not None
        found = self.watched.hanging.get(memory_of(t)) or self.watched.hanging.get(id(t))
        return None if found is None else found[1]

    def _cut(self, func: Any, args: Any) -> tuple[Any, ...] | None:
        """The lengths of what is cut out of a table by lengths, or out of what is made of lengths; None where something
        else is done."""
        if func not in PICKING or self.blank(args[0]):
            return None
        x, at = args[0], args[1] if isinstance(args[1], tuple) else (args[1],)
        if any(isinstance(i, (list, bool, torch.Tensor)) for i in at):
            return None
        lengths = self._made_of(x)
        if lengths is None and not any(map(by_lengths, at)):
            if self._hangs(x) is not None:
                for axis in cut_axes(at, x):
                    lose(Asked(len(self.recorder.steps), x.shape[axis]))
            return None
        found = tuple(cut_out(at, tuple(x.shape) if lengths is None else lengths))
        return found if func is _T.__getitem__ else None

    def _fits(self, func: Any, args: Any, kwargs: Any, hanging: Any) -> bool:
        """Whether what is picked lies in what it is picked from, which is asked of its first and last position; where
        an operator does not pick by values, that lengths are no larger than a table."""
        indices = [*indexed(func, args, kwargs)]
        for index, table, axis, least in indices:
            if self.blank(index):
                self._may_fit(index, table, axis, least)
            if self.blank(index) or self._hangs(index) is None:
                continue
            of_map = self.blank(table) and func not in LOSSES
            ends, count = self.extremes.within(index), None if of_map else self._places(table, axis)
            if ends is None or (count is None and not of_map):
                lose(hanging)
                return True
            behind = [ends.least + count] if count is not None and ends.least < 0 else []  # from the end
            self._gives([math.prod(self._known(index) or ()), *ends[:2], *behind])
            least = least and -count if count is not None else 0
            inside = count is None or (ends.largest < count and ends.least >= least)
            if not (inside and (ends.exact or count is not None)):  # of a map a layer asks it
                if ends.exact:
                    return False
                lose(hanging)
        if indices or hanging is None or func in ALONG or any(self.blank(t) for t in tensors(args)):
            return True
        if func in SELECTING and not self._varies(args[0]):
            named = {**dict(zip(("dim", "index"), args[1:], strict=False)), **kwargs}
            count, i = args[0].shape[named["dim"]], named["index"]
            return bool(i < count and i >= -count)
        known = {length.made: length for length in parts_of(hanging)}
        most = dict.fromkeys(n for t in tensors(args) if self._hangs(t) is None for n in picked(func, args, t))
        _ = all(length <= n for n in most for length in known.values())  # no more is asked behind what does not fit
        return True

    def _places(self, table: Any, axis: int | None) -> Any:
        """How many positions a table has along an axis, or in all; None where that is not known."""
        if not isinstance(table, torch.Tensor):
            return table
        held = isinstance(table, torch.nn.Parameter)  # of a module that is built without data, too
        lengths = tuple(table.shape) if held else self.lengths(table) if self.blank(table) else self._known(table)
        return lengths and (math.prod(lengths) if axis is None else lengths[axis])

    def _may_fit(self, index: torch.Tensor, table: Any, axis: int | None, least: int) -> None:
        """Lose what is picked by positions that values say, where some of these would not lie in the table."""
        ends, count = self.extremes.within(index), self._places(table, axis)
        if ends is not None:
            if count is None or (ends.largest < count and ends.least >= (least and -count)):
                return
        elif not self.extremes.hang(index):
            return
        table = "their table" if count is None else f"a table of {plain(count)}"
        lose(None, f"whether they lie in {table} is not known")

    def _called(self, func: Any, args: Any, kwargs: Any) -> Any:
        special = SPECIAL.get(func)
        if special is not None and args:
            return special(self, func, args, kwargs or {})
        if isinstance(func, HigherOrderOperator):
            self.sizes_asked = True
            return undone(self.blank, func, args, kwargs or {})
        kept = args[0].shape if func in KEEPING and args and isinstance(args[0], torch.Tensor) else None
        out = func(*args, **(kwargs or {}))
        if kept is not None and args[0].shape != kept:  # without data, some become larger
            raise RuntimeError(f"output with shape {[*kept]} doesn't match the broadcast shape {[*args[0].shape]}")
        if not self.sizes_asked:
            self.sizes_asked = self._tells_sizes(func, args, kwargs or {}, out)
        if self.watched is not None and func in SIZES and args and self._varies(args[0]):
            return self._remembering(func, args, kwargs or {}, out)
        return out

    def _remembering(self, func: Any, args: Any, kwargs: Any, out: Any) -> Any:
        """The lengths that a tensor told, such that what code asks about them is noted."""
        assert self.watched is not None
        steps, number = len(self.recorder.steps), len(self.watched.maps)
        if isinstance(out, torch.Size) and (made := self._made_of(args[0])) is not None:
            return Sizes(made)
        if func in COUNTS:
            found: Any = math.prod([Length(n, Asked(steps, n, number, i)) for i, n in enumerate(args[0].shape)])
        elif type(out) is int and func is _T.size:
            axis = args[1] if len(args) > 1 else kwargs["dim"]
            found = Length(out, Asked(steps, out, number, int(axis) % args[0].dim()))
        elif type(out) is int:
            return Length(out, Asked(steps, out))
        elif isinstance(out, torch.Size):
            found = Sizes([Length(n, Asked(steps, n, number, i)) for i, n in enumerate(out)])
        else:
            return self._counting(func, args, out)
        self.watched.maps.append((steps, args[0]))
        if (name := self.given.get(id(args[0]))) is not None and args[0].dim() > 2:
            self.watched.places.update({(number, axis): (name, axis - 1) for axis in range(1, args[0].dim())})
        return found

    def _counting(self, func: Any, args: Any, out: Any) -> Any:
        """What a tensor told that is the length of no map."""
        assert self.watched is not None
        steps = len(self.recorder.steps)
        if func is _T.__iter__:
            lose(Asked(steps, args[0].shape[0], len(self.watched.maps), 0))
            self.watched.maps.append((steps, args[0]))
        if isinstance(out, tuple) and out and all(type(n) is int for n in out):  # strides
            return tuple([Length(n, Asked(steps, n)) for n in out])
        return out

    def sliced(self, x: torch.Tensor, at: Any, written: bool = False) -> None:
        """Note that slices end where a tensor ends, and that what is picked lies in it: a bound may lie beyond it; of
        what is written over, whether anything is left."""
        if any(isinstance(i, (list, torch.Tensor)) for i in at):
            return
        lengths: Any = None
        axis, consumed = 0, sum(i is not None and i is not Ellipsis for i in at)
        for i in at:
            at_length: Any = i  # of any kind
            bounds = (i.start, i.stop) if isinstance(i, slice) else (i,) if type(i) is int else ()
            for bound in bounds if axis < x.dim() else ():
                if not isinstance(bound, int) or (type(bound) is int and not 1 < abs(bound) < sys.maxsize):
                    continue
                self.sizes_asked = self.sizes_asked or axis > 1 or x.dim() < 4
                if self.watched is not None:
                    if lengths is None:
                        lengths = self._remembering(_T.shape.__get__, (x,), {}, x.shape)
                    beyond(bound + (not isinstance(i, slice) and bound > 0), lengths[axis])
                    _ = written and lengths[axis] == abs(bound) + (not isinstance(i, slice) and bound > 0)
                    self._gives([larger(bound + lengths[axis], 0)] if bound < 0 else [])
            if type(at_length) is Length and self.watched is not None:
                self._gives(one_at(i, self.lengths(x)[axis]))
            axis += x.dim() - consumed if i is Ellipsis else i is not None

    def joined(self, equation: str, operands: Any) -> None:
        """Note what a sum over products asks on behalf of code: whether a length that several tensors have is 1, which
        goes with any other."""
        terms = equation.replace(" ", "").partition("->")[0].split(",")
        for letters, tensor in zip(terms, operands, strict=False):
            lengths = self.lengths(tensor) if "." not in letters else ()
            for letter, n in zip(letters, lengths, strict=False):
                if type(n) is Length and sum(letter in term for term in terms) > 1:
                    _ = n == 1

    def squeezed(self, x: torch.Tensor, axes: Any) -> None:
        """Note what is asked of axes that are left out where they have one position."""
        self.sizes_asked = True
        if self.watched is not None:
            lengths = self._remembering(_T.shape.__get__, (x,), {}, x.shape)
            asked = range(x.dim()) if axes is None else (axes,) if type(axes) is int else axes
            tensor, put = self.inserted.get(id(x), (None, None))
            known = None if tensor is not x else put  # it has one position
            _ = [lengths[i] == 1 for i in asked if -x.dim() <= i < x.dim() and i % x.dim() != known]

    def _tells_sizes(self, func: Any, args: Any, kwargs: Any, out: Any) -> bool:
        """Whether code could learn a size from this call: it is told by the tensor, by the count of what comes out, or
        to a function that is written in Python (but for those that are known to look at the rank only)."""
        if func in SIZES:
            return not args or self.blank(args[0])
        if isinstance(out, (tuple, list)):
            return True
        if not isinstance(func, FunctionType) or func.__name__ in _BY_RANK:
            return False
        if func.__name__ == "interpolate":
            return bool(kwargs.get("recompute_scale_factor")) or len(args) > 5
        if func.__name__.startswith("adaptive_"):
            size = args[1] if len(args) > 1 else kwargs.get("output_size")
            return size is None or (isinstance(size, (tuple, list)) and None in size)
        return True

    def blank(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and self.recorder.blank(value)


_BEFORE_INPUT = frozenset(("condition", "sorted_sequence"))  # names of arguments before it
_BY_RANK = frozenset((
    "_assert", "alpha_dropout", "batch_norm", "celu", "dropout", "dropout1d", "dropout2d", "dropout3d", "elu", "fn",
    "group_norm", "hardsigmoid", "hardswish", "hardtanh", "layer_norm", "leaky_relu", "log_softmax",
    "max_pool1d", "max_pool2d", "max_pool3d", "mish", "normalize", "pad", "relu", "relu6", "selu", "sigmoid", "silu",
    "softmax", "softplus", "softsign", "tanh", "tanhshrink",
))  # fmt: skip
_T: Any = torch.Tensor
