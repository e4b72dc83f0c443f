"""What is known of the values of a tensor, place by place: where it is zero, and where a softmax surely makes it zero.
Fixed masks are structure: what they leave out is not read.

The arrays are the reader's own, NumPy's or PyTorch's, of flags that broadcast to the tensor; only operators that both
have are used, so that nothing is imported.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

from rfcalc.core.masks import Mask, Rows, Several, of_flags

# Scores this far down count as masked, whatever they are added to; between the two if there are no other values but
# one (Swin adds −100): a bias that falls off slowly (ALiBi) is none.
LOW, PERHAPS = -1e4, -50.0


class Facts(NamedTuple):
    """Flags of a tensor's places; None where there are none.

    `zero`: the value is 0. `low`: a softmax makes it 0, unless all of its row is low. `never`: it is −∞. `fixed`: it
    depends on no input (what is 0 does not either, and need not be flagged).
    """

    zero: Any = None
    low: Any = None
    never: Any = None
    fixed: Any = None

    def __bool__(self) -> bool:
        return self.zero is not None or self.low is not None or self.fixed is not None

    @property
    def blind(self) -> Any:
        """Where the value depends on no input."""
        return either(self.zero, self.fixed)


NONE = Facts()


def of_values(values: Any) -> Facts:
    """What is known of a tensor of fixed values (numbers or flags)."""
    zero = values == 0
    least = values.min() if _count(values) else 0
    low = never = None
    most = values.max() if _count(values) else 0
    if most >= -LOW and least > PERHAPS and _apart(values, values <= most + LOW):  # what is kept is raised instead
        low = values <= most + LOW
    if least <= PERHAPS:
        low, never = values <= LOW, values == -inf
        down = values == least
        if not low.any() and (down if most <= PERHAPS else down | (values == most)).all():
            low = down
    return Facts(zero if zero.any() else None, low if low is not None and low.any() else None, never)


def _apart(values: Any, low: Any) -> bool:
    """Whether values that are flagged are far below the others."""
    return bool(low.any() and not low.all() and values[~low].min() + LOW / 2 >= values[low].max())


def _count(values: Any) -> int:
    n = 1
    for size in values.shape:
        n *= int(size)
    return n


def either(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a | b


def both(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a & b


def added(a: Facts, b: Facts) -> Facts:
    return Facts(both(a.zero, b.zero), either(a.low, b.low), either(a.never, b.never))


def multiplied(a: Facts, b: Facts, positive: bool = False) -> Facts:
    """
    Args:
        positive: whether the second is a number above 0, so that what is low stays low.
    """
    zero = either(a.zero, b.zero)
    return Facts(zero, a.low, a.never) if positive else Facts(zero)


def chosen(condition: Any, a: Facts, b: Facts) -> Facts:
    """`a` where the condition holds, else `b`."""

    def of(p: Any, q: Any) -> Any:
        left = None if p is None else condition & p
        return either(left, None if q is None else ~condition & q)

    return Facts(of(a.zero, b.zero), of(a.low, b.low), of(a.never, b.never), of(a.fixed, b.fixed))


def softmaxed(x: Facts) -> Facts:
    """Over the last axis."""
    if x.low is None:
        return NONE
    if x.low.shape[-1] == 1:
        return NONE
    whole = (x.low.sum(-1) == x.low.shape[-1])[..., None]  # several times as fast as all(-1)
    gone = x.low & ~whole
    if x.never is not None and x.never.shape[-1] != 1:
        gone = gone | (x.never & x.never.all(-1)[..., None])
    return Facts(gone)


def masked(gone: Any) -> tuple[Mask, bool]:
    """Which keys each query sees, from flags of what is left out (… queries × keys), and for each position of a leading
    axis (heads, windows) where it differs along one; whether some see less than that, because several axes differ."""
    if gone is None or not gone.any():
        return None, False
    shape = [int(n) for n in gone.shape]
    flat = gone.reshape(-1, shape[-2], shape[-1])
    same = (flat == flat[:1]).all()
    if not same and (one := _differing(gone, shape)) is not None:
        axis, masks = one
        return Several(axis, tuple(masks)), False
    return _mask_of(flat[0] if same else flat.all(0)), not same


MOST_MASKS = 64


def _differing(gone: Any, shape: list[int]) -> tuple[int, list[Rows]] | None:
    """The one leading axis along which flags differ, and the mask at each of its positions; windows have few forms."""
    for axis, count in enumerate(shape[:-2]):
        if count == 1:
            continue
        before = 1
        for n in shape[:axis]:
            before *= n
        apart = gone.reshape(before, count, -1, shape[-2], shape[-1])
        first = apart[:1, :, :1]
        if (apart == first).all():
            flags = [bytes(m) for m in first.reshape(count, -1).tolist()]
            made = {form: _rows(first[0, flags.index(form), 0]) for form in dict.fromkeys(flags)}
            return (axis, [made[form] for form in flags]) if len(made) <= MOST_MASKS else None
    return None


def _rows(gone: Any) -> Rows:
    return tuple(tuple(k for k, left_out in enumerate(row) if not left_out) for row in gone.tolist())


def _mask_of(gone: Any) -> Mask:
    return of_flags((~gone).tolist())
