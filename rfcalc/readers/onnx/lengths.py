"""What a file computes from the lengths of maps, remembered while it is read with lengths that note what is asked.

`Shape` tells lengths; what operators on constants make of them are expressions (`rfcalc.core.lengths`), kept beside
the values. What is compared on the way is a question; what an operator is given beside maps is noted. So a few readings
tell a file as they tell code: its numbers are its own expressions, its questions decide which way is taken.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rfcalc.core.expressions import Expression
from rfcalc.core.lengths import Length, Share, lose, made_of, plain
from rfcalc.readers.builder import heard
from rfcalc.readers.builder.heard import clipped, is_negative
from rfcalc.readers.builder.values import Value
from rfcalc.readers.onnx.constants import FOLDS, NotFoldedError, axes_of, bounds, permutation, spread
from rfcalc.readers.onnx.evaluation import PAIRS, SINGLES
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.values import Const, as_typed, single

if TYPE_CHECKING:
    from rfcalc.readers.onnx.reading import Reader

MOST_FOLLOWED = 64  # values of a constant
FINEST = 1000  # the denominator of a decimal factor, which single precision rounds as its fraction is rounded down
UNTOLD = frozenset({*PAIRS, *SINGLES, "Where", "Clip", "Cast", "Identity"})  # values that say no size
FIRST = frozenset({"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Gather", "Slice", "Split"})
ELEMENTWISE = frozenset({*UNTOLD, "CumSum", "Softmax", "Trilu", "Pow"})
SIZED = frozenset({"Shape", "Size"})
SCALED = frozenset({"Resize", "Upsample"})


def lengths_of(reader: Reader, x: Value) -> list[Any]:
    """The extents of a map, as lengths that note what is asked, where that is wanted."""
    return heard.lengths_of(reader.graph, x)


def gives(reader: Reader, values: Any) -> Any:
    """Note lengths that the operator that is being read is given, or computes; the plain numbers."""
    return heard.gives(reader.graph, values)


def viewed(reader: Reader, y: Value, lengths: Sequence[Any]) -> Value:
    """A view, of which these are the extents."""
    if reader.watched is not None and plain(tuple(lengths)) == y.dims:
        reader.graph.lengths.setdefault(y, list(lengths))
    return y


def asked(const: Any) -> Any:
    """A constant with what is asked in the place of its values."""
    return (
        Const(const.dims, const.dtype, const.asked, const.origin)
        if isinstance(const, Const) and const.asked is not None
        else const
    )


def given(reader: Reader, node: Node, entries: Sequence[Any]) -> None:
    """Note what an operator beside maps is given that was made of lengths."""
    for i, const in enumerate(entries):
        if not isinstance(const, Const):
            continue
        if const.asked is not None and any(type(v) is Length for v in const.asked):
            gives(reader, const.asked)
        elif const.asked is not None or const.hangs is not None:
            followed = node.op in SCALED and const.asked is not None
            data = const.floating and not (node.op in SCALED and i > 0)
            if node.op not in UNTOLD and not followed and not data:
                _lost(const)


def _lost(const: Const) -> None:
    made = const.hangs
    for value in const.asked or ():
        made = Expression("lost", made, _of(value))
    lose(made)


def _of(value: Any) -> Any:
    if type(value) is Share:
        return Expression("lost", *map(made_of, value.parts))
    return made_of(value) if type(value) is Length else None


def told(reader: Reader, node: Node, x: Value, made: Const) -> Const:
    """What Shape and Size make of a map."""
    found = lengths_of(reader, x)
    if node.op == "Size":
        every = math.prod(found)
        return made if type(every) is not Length else made.noting((every,))
    part = tuple(found[slice(node.attributes.get("start"), node.attributes.get("end"))])
    return made.noting(part) if any(type(n) is Length for n in part) else made


def followed(reader: Reader, node: Node, entries: Sequence[Any], made: Sequence[Const]) -> list[Const]:
    """What an operator makes of constants that were made of lengths, with what is asked of them."""
    constants = [c for c in entries if isinstance(c, Const)]
    if all(c.asked is None and c.hangs is None for c in constants):
        return list(made)
    if node.op in SIZED and constants[0].hangs is None:
        return list(made)  # the extents are those of every reading
    if node.op == "Shape" and (extents := constants[0].extents) is not None:
        return [made[0].noting(extents[slice(node.attributes.get("start"), node.attributes.get("end"))])]
    if all(c.hangs is None for c in constants):
        try:
            found = _asked(reader, node, entries, made)
        except (NotFoldedError, ArithmeticError, TypeError, ValueError):
            found = None
        if found is not None:
            return found
    hangs: Any = None
    for const in constants:
        hangs = hangs if const.hangs is None else Expression("lost", hangs, const.hangs)
        for value in const.asked or ():
            hangs = Expression("lost", hangs, _of(value))
    try:
        extents = _extents(reader, node, entries, made)
    except (NotFoldedError, ArithmeticError, TypeError, ValueError, IndexError):
        extents = None
    if extents is not None and plain(extents) != made[0].dims:
        extents = None
    return [c.hanging(hangs, extents) for c in made]


def _extents(reader: Reader, node: Node, entries: Sequence[Any], made: Sequence[Const]) -> tuple[Any, ...] | None:
    """The extents of what an operator makes of constants whose extents, or values, were made of lengths."""
    if len(made) != 1 or not isinstance(entries[0], Const):
        return None
    first, dims = entries[0], made[0].dims
    values: list[Any] = [e.asked or e.values if isinstance(e, Const) else None for e in entries]
    if node.op == "Range":
        start, limit, step = (v[0] for v in values)
        if type(step) is not int or step < 1:
            return None
        count = limit if type(start) is int and start == 0 else limit - start
        return ((count + step - 1) // step if step > 1 else count,)
    if node.op == "ConstantOfShape":
        return tuple(values[0])
    if node.op in ("Expand", "Tile"):
        own = [1] * (len(dims) - len(first.dims)) + list(_of_const(first))
        target = [1] * (len(dims) - len(values[1])) + list(values[1])
        if node.op == "Tile":
            return tuple([a * b for a, b in zip(own, target, strict=True)])
        return tuple([b if type(a) is int and a == 1 else a for a, b in zip(own, target, strict=True)])
    if node.op in ELEMENTWISE:
        found: list[Any] = [1] * len(dims)
        for e in entries:
            for i, n in enumerate(_of_const(e), len(dims) - len(e.dims)) if isinstance(e, Const) else ():
                found[i] = n if type(found[i]) is int and (found[i] == 1 or type(n) is not int) else found[i]
        return tuple(found)
    if any(isinstance(e, Const) and (e.asked or e.hangs) is not None for e in entries[1:]):
        if node.op == "Slice":
            found = list(_of_const(first))
            for axis, low, high, step in bounds(node, [asked(e) for e in entries], len(first.dims), reader.opset):
                if step < 1:
                    return None
                low, high = clipped(low, high, found[axis])
                found[axis] = (high - low + step - 1) // step if step > 1 else high - low
            return tuple(found)
        if node.op == "Gather" and entries[1].extents is not None:
            axis = int(node.attributes.get("axis", 0)) % len(first.dims)
            return (*_of_const(first)[:axis], *entries[1].extents, *_of_const(first)[axis + 1 :])
        if node.op == "Reshape":
            return tuple(reshaped_to(_of_const(first), values[1], bool(node.attributes.get("allowzero", 0))))
        return None
    if node.op == "Concat" and all(isinstance(e, Const) for e in entries):
        axis = int(node.attributes.get("axis", 1)) % len(first.dims)
        total = sum([_of_const(e)[axis] for e in entries[1:]], _of_const(first)[axis])
        return (*_of_const(first)[:axis], total, *_of_const(first)[axis + 1 :])
    own = list(_of_const(first))
    if node.op == "Transpose":
        return tuple([own[p] for p in permutation(node, len(own))])
    if node.op == "Reshape":
        return tuple(reshaped_to(own, values[1], bool(node.attributes.get("allowzero", 0))))
    if node.op == "Unsqueeze":
        new = {a % len(dims) for a in axes_of(node, entries) or ()}
        rest = iter(own)
        return tuple([1 if i in new else next(rest) for i in range(len(dims))])
    if node.op == "Squeeze":
        gone = {a % len(own) for a in axes_of(node, entries) or [i for i, n in enumerate(first.dims) if n == 1]}
        return tuple([n for i, n in enumerate(own) if i not in gone])
    if node.op == "MatMul" and isinstance(entries[1], Const):
        return (*own[:-1], _of_const(entries[1])[-1]) if len(entries[1].dims) == 2 else None
    return None


def _of_const(const: Const) -> tuple[Any, ...]:
    return const.dims if const.extents is None else const.extents


def _asked(reader: Reader, node: Node, entries: Sequence[Any], made: Sequence[Const]) -> list[Const] | None:
    """The same, where every value is followed; None where it is not."""
    if any(c.values is None or len(c.values) > MOST_FOLLOWED for c in made):
        return None
    if node.op == "Concat" or (node.op in FIRST and all(c is None or c.asked is None for c in entries[1:])):
        parts = FOLDS[node.called](node, [asked(c) for c in entries], reader.opset)
        values = [c.values for c in parts]
    elif (function := VALUES.get(node.op)) is not None and len(made) == 1:
        values = [function(node, [asked(c) for c in entries], made[0])]
    else:
        return None
    found: list[Const] = []
    for const, told_ in zip(made, values, strict=True):
        if told_ is None or const.values is None or [_plain(v, const.dtype) for v in told_] != list(const.values):
            return None
        found.append(const.noting(tuple(told_)) if any(type(v) in (Length, Share) for v in told_) else const)
    return found


def _plain(value: Any, dtype: int) -> Any:
    if type(value) is Share:
        return single(value.value) if dtype == 1 else value.value
    return plain(value)


def _pairwise(node: Node, entries: Sequence[Any], made: Const) -> tuple[Any, ...]:
    function = PAIR[node.op]
    result = tuple(_spread(entries[0], made.dims))
    for other in entries[1:]:
        result = tuple([function(a, b) for a, b in zip(result, _spread(other, made.dims), strict=True)])
    return result


def _single(node: Node, entries: Sequence[Any], made: Const) -> tuple[Any, ...]:
    return tuple([SINGLE[node.op](v) for v in entries[0].values])


def _chosen(node: Node, entries: Sequence[Any], made: Const) -> tuple[Any, ...]:
    parts = [_spread(e, made.dims) for e in entries[:3]]
    return tuple([a if c else b for c, a, b in zip(*parts, strict=True)])


def _clipped(node: Node, entries: Sequence[Any], made: Const) -> tuple[Any, ...]:
    ends = [e.values[0] if e is not None else None for e in [*entries[1:3], None, None][:2]]
    low, high = (node.attributes.get(n) if end is None else end for n, end in zip(("min", "max"), ends, strict=True))
    found = [v if low is None else _larger(v, low) for v in entries[0].values]
    return tuple([v if high is None else _smaller(v, high) for v in found])


def _cast(node: Node, entries: Sequence[Any], made: Const) -> tuple[Any, ...]:
    if made.floating:
        return entries[0].values  # type: ignore[no-any-return]
    if made.dtype == 9:
        return tuple([bool(v) for v in entries[0].values])
    return tuple([math.trunc(v) for v in entries[0].values])


def _reduced(node: Node, entries: Sequence[Any], made: Const) -> tuple[Any, ...] | None:
    values = entries[0].values
    result = values[0]
    for other in values[1:]:
        result = REDUCE[node.op](result, other)
    return (result,) if made.size == 1 else None


def _spread(const: Const, dims: tuple[int, ...]) -> Iterator[Any]:
    assert const.values is not None
    return iter([const.values[i] for i in spread(const, dims)])


def _is_real(value: Any) -> bool:
    return type(value) in (float, Share)


def _times(a: Any, b: Any) -> Any:
    for one, other in ((a, b), (b, a)):
        if type(one) is Length and type(other) is float and (factor := _decimal(other)) is not None:
            return Share(single(plain(one) * other), one * factor.numerator, factor.denominator)
    return a * b


def _decimal(value: float) -> Fraction | None:
    """A factor in single precision as it is typed, if it is short: lengths times it are rounded down as the fraction
    is, because single precision rounds products to the nearest."""
    found = Fraction(str(as_typed(value))) if math.isfinite(value) else Fraction(0)
    return found if found > 0 and found.denominator <= FINEST else None


def _over(a: Any, b: Any) -> Any:
    """A quotient; of whole numbers rounded towards zero."""
    if _is_real(a) or _is_real(b):
        if type(b) in (Length, Share):  # in single precision
            lose(Expression("lost", _of(a), _of(b)))
            return _plain(a, 11) / _plain(b, 11)
        return a / b
    negative = is_negative(a) != is_negative(b)
    found = _size(a) // _size(b)
    return -found if negative else found


def _rest(a: Any, b: Any) -> Any:
    if type(a) is not int or type(b) is not Length:
        return a % b
    if a >= 0 and b > a:
        return a
    if a < 0 and b >= -a:
        return b + a
    return a % plain(b) if b == plain(b) else None


def _size(value: Any) -> Any:
    return -value if is_negative(value) else value


def _smaller(a: Any, b: Any) -> Any:
    return _of_two("min", a, b) if Length in (type(a), type(b)) else min(a, b)


def _larger(a: Any, b: Any) -> Any:
    return _of_two("max", a, b) if Length in (type(a), type(b)) else max(a, b)


def _of_two(how: str, a: Any, b: Any) -> Any:
    if isinstance(a, float) or isinstance(b, float):
        a, b = (int(v) if isinstance(v, float) and v == int(v) else v for v in (a, b))
    if _is_real(a) or _is_real(b):
        raise TypeError("a fraction")
    found = (min if how == "min" else max)(plain(a), plain(b))
    return Length(found, Expression(how, made_of(a), made_of(b)))


def more(value: Any) -> Any:
    """A length, or 0 where it is negative."""
    return _larger(value, 0)


PAIR: dict[str, Callable[[Any, Any], Any]] = {
    **PAIRS,
    "Mul": _times,
    "Div": _over,
    "Mod": _rest,
    "Min": _smaller,
    "Max": _larger,
}


def places(reader: Reader, n: Any, index: Sequence[int]) -> None:
    """Note what is asked where positions are picked: that the axis has them, and where those from the end are."""
    if type(n) is not Length or not index:
        return
    if not n > max(*index, -1 - min(index)):
        return
    behind = [i for i in index if i < 0]
    gives(reader, [n + i + end for i in behind for end in (0, 1)])
    if 0 < len(behind) < len(index):  # how far apart they are
        lose(n.made)


def reshaped_to(x: Sequence[Any], target: Sequence[Any], allow_zero: bool) -> list[Any]:
    """What Reshape makes of a map, from lengths: the target is a fit one."""
    found = [x[i] if type(t) is int and t == 0 and not allow_zero else t for i, t in enumerate(target)]
    gaps = [i for i, t in enumerate(found) if type(t) is int and t == -1]
    if gaps:
        others: list[Any] = []
        every = list(x)
        for one in found[: gaps[0]] + found[gaps[0] + 1 :]:  # without what stands on both sides
            same = next((i for i, n in enumerate(every) if made_of(n) == made_of(one)), None)
            if same is None:
                others.append(one)
            else:
                del every[same]
        known, whole = math.prod(others), math.prod(every)
        if plain(known) == plain(whole):
            found[gaps[0]] = 1 if known == whole else -1  # which is asked: a batch of one, mostly
        elif whole % known == 0:
            found[gaps[0]] = whole // known
    return found


SINGLE: dict[str, Callable[[Any], Any]] = {
    "Neg": operator.neg,
    "Abs": _size,
    "Floor": math.floor,
    "Ceil": math.ceil,
    "Round": round,
    "Not": operator.not_,
    "Relu": lambda v: _larger(v, 0),
}
REDUCE: dict[str, Callable[[Any, Any], Any]] = {
    "ReduceProd": operator.mul,
    "ReduceSum": operator.add,
    "ReduceMax": _larger,
    "ReduceMin": _smaller,
}
Function = Callable[[Node, Sequence[Any], Const], "tuple[Any, ...] | None"]
VALUES: dict[str, Function] = {
    **dict.fromkeys(PAIR, _pairwise),
    **dict.fromkeys(SINGLE, _single),
    **dict.fromkeys(REDUCE, _reduced),
    "Where": _chosen,
    "Clip": _clipped,
    "Cast": _cast,
    "CastLike": _cast,
}


def scaled(reader: Reader, x: Sequence[Any], scales: Sequence[float]) -> None:
    """Note the sizes that a Resize makes by factors: lengths times them, rounded down; and whether that is exact."""
    for n, scale in zip(x, scales, strict=True):
        if type(n) is not Length or scale == 1:
            continue
        factor = _decimal(scale)
        if factor is None:
            lose(n.made)
        elif factor.denominator > 1:
            above = n * factor.numerator
            gives(reader, (above // factor.denominator,))
            _ = above % factor.denominator == 0  # else it is no multiple, and read as what is not understood
