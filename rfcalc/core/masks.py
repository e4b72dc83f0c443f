"""Masks that are fixed: which keys each query of attention may see, which taps of a kernel are used.

A mask is ``"causal"`` (query i sees keys 0 … i, as PyTorch's ``is_causal``) or a list of positions for each query.
Where heads or windows have masks of their own, `Several` holds one for each position of that axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import lt
from typing import Any, NamedTuple, TypeAlias, TypeVar

from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.size import Size, agree, is_number
from rfcalc.core.syntax import Word, ranges, split
from rfcalc.core.window import STEP, Index, Listed, Slide, Table, Unsized

Rows: TypeAlias = "tuple[tuple[int, ...], ...]"
Mask: TypeAlias = "str | Rows | Several | None"
T = TypeVar("T")


class Several(NamedTuple):
    """Masks that differ along an axis before the last two (heads, windows): one for each of its positions."""

    axis: int
    masks: tuple[Rows, ...]


CAUSAL = "causal"
MOST_KEYS = 1_000_000


def mask_of(given: Any) -> Mask:
    """A mask as layers keep it.

    >>> mask_of([[0], [1, 0], [0, 1, 2]]), mask_of([[0], [1]])
    ('causal', ((0,), (1,)))

    Raises:
        LayerError: it is none.
    """
    if given is None or (isinstance(given, str) and given == CAUSAL):
        return given
    if isinstance(given, Several):
        return _several(given)
    rows = _rows_of(given)
    causal = all(row == tuple(range(i + 1)) for i, row in enumerate(rows))
    return CAUSAL if causal else rows


def _rows_of(given: Any) -> Rows:
    def refused(why: str | None = None) -> LayerError:
        fix = 'write "causal", or a list of key positions for each query'
        return LayerError(f"{given!r:.60} is no mask", why=why, fix=fix)

    if isinstance(given, str) or not isinstance(given, Iterable):
        raise refused()
    rows: list[tuple[int, ...]] = []
    for row in given:
        if isinstance(row, str) or not isinstance(row, Iterable):
            raise refused()
        keys = tuple(row)
        if set(map(type, keys)) == {int} and keys[0] >= 0 and all(map(lt, keys, keys[1:])):  # in order, each once
            rows.append(keys)
            continue
        whole = set(map(type, keys)) <= {int} or all(map(is_number, keys))
        if not whole or (keys and min(keys) < 0):
            raise refused("positions are whole numbers, counted from 0")
        rows.append(tuple(sorted(set(map(int, keys)))))
    if not rows:
        raise refused()
    return tuple(rows)


def _several(given: Several) -> Several:
    if not is_number(given.axis) or given.axis < 0 or not given.masks:
        raise LayerError("masks along an axis need the axis, and a mask for each of its positions")
    return Several(int(given.axis), _each(_rows_of, given.masks))


def _each(function: Callable[[Any], T], masks: Sequence[Any]) -> tuple[T, ...]:
    """The results for all masks: windows have few forms, and one that stands in many places is looked at once."""
    made: dict[int, T] = {}
    return tuple(made[id(one)] if id(one) in made else made.setdefault(id(one), function(one)) for one in masks)


def checked(mask: Mask, dims: Sequence[Size]) -> None:
    """Refuse a mask that does not fit scores of these dims (… queries × keys).

    Raises:
        ShapeError: it is.
    """
    queries, keys = dims[-2:]
    if mask is None or isinstance(mask, str):
        return
    if isinstance(mask, Several):
        if mask.axis > len(dims) - 3 or not agree(len(mask.masks), dims[mask.axis]):
            raise ShapeError(f"{len(mask.masks)} masks along axis {mask.axis} do not fit {'x'.join(map(str, dims))}")
        _each(lambda one: checked(one, (queries, keys)), mask.masks)
        return
    most = max((row[-1] for row in mask if row), default=0)
    if not agree(len(mask), queries) or (is_number(keys) and most >= keys):
        raise ShapeError(
            f"a mask of {len(mask)} queries that see keys up to {most} does not fit {queries} queries and {keys} keys"
        )


def allowed(mask: str | Rows | None, query: int, keys: int) -> Sequence[int]:
    """The keys that a query sees.

    >>> list(allowed("causal", 2, 5)), list(allowed(((0,), (1, 4)), 1, 5))
    ([0, 1, 2], [1, 4])
    """
    if mask is None:
        return range(keys)
    if isinstance(mask, str):
        return range(min(query + 1, keys))
    return mask[query]


Placed: TypeAlias = "tuple[int | None, Index | None, Index]"  # the axis of the masks, its index; which keys are read


def keyed(mask: Mask, queries: Size, keys: Size) -> list[Placed]:
    """Which keys a query reads, as an index; where masks differ along an axis, for each mask where it stands too."""
    if not isinstance(mask, Several):
        return [(None, None, _keyed(mask, queries, keys))]
    found: list[Placed] = []
    for one in dict.fromkeys(mask.masks):
        places = Listed([[u] if own == one else [] for u, own in enumerate(mask.masks)])
        found.append((mask.axis, places, _keyed(one, queries, keys)))
    return found


def of_axis(i: int, placed: Placed) -> tuple[int, Index]:
    """How an axis before the last two is read: as it is, or where the mask stands."""
    axis, places, _ = placed
    return (i, places) if axis == i and places is not None else (i, STEP)


def seeing(keys: Index) -> Index | None:
    """Each query's own place, where it sees any key: of nothing nothing is made. None where all do."""
    if not isinstance(keys, Listed) or all(keys.units):
        return None
    return Listed([[u] if seen else [] for u, seen in enumerate(keys.units)])


def _keyed(mask: str | Rows | None, queries: Size, keys: Size) -> Index:
    if not (is_number(queries) and is_number(keys)):
        return Unsized("which keys a query sees depends on their number")
    return Listed([allowed(mask, q, int(keys)) for q in range(int(queries))])


def written(mask: Mask, exact: bool) -> str:
    """The mask as an option of the notation: `` causal``, `` keys0/0:1/2`` (runs of keys, query by query).

    >>> written("causal", True), written(((0,), (0, 1, 3), ()), True), written(((0,), (1,)), False)
    (' causal', ' keys0/0:1,3/-', ' masked')
    """
    if mask is None or isinstance(mask, str):
        return "" if mask is None else " causal"
    if not exact:
        return " masked"
    if isinstance(mask, Several):
        return " keys" + "//".join(_each(_rows, mask.masks)) + f" over{mask.axis}"
    return " keys" + _rows(mask)


def _rows(mask: Rows) -> str:
    return "/".join(ranges(row) or "-" for row in mask)


def from_word(word: Word) -> Mask:
    """The mask that a word of the notation says.

    Raises:
        LayerError: it is none.
    """
    causal, told = word.flag("causal"), word.value("keys")
    if told is None:
        return CAUSAL if causal else None
    word.culprit = "keys"
    if causal:
        raise LayerError("causal and keys exclude each other", fix="write one of them")
    over = word.value("over")
    if over is not None or "//" in told:
        word.culprit = "over" if over is not None else "keys"
        if over is None or not (over.isascii() and over.isdecimal() and len(over) < 3):
            raise LayerError(
                "keys of several masks need the axis that they stand along", fix="write keys0/1//0:1 over0"
            )
        word.culprit = "keys"
        return mask_of(Several(int(over), tuple(_read(part) for part in told.split("//"))))
    return mask_of(_read(told))


def _read(told: str) -> Rows:
    rows: list[list[int]] = []
    count = 0
    for part in told.split("/"):
        row: list[int] = []
        for run in split(part, ",") if part != "-" else ():
            ends = split(run, ":")
            if len(ends) > 2 or not all(e.isascii() and e.isdecimal() and len(e) < 10 for e in ends):
                raise LayerError(f"{run or 'nothing'} does not say keys", fix="write keys0/0:1/0,2")
            first, last = int(ends[0]), int(ends[-1])
            count += last - first + 1
            if last < first or count > MOST_KEYS:
                raise LayerError(f"{run} does not say keys", why=f"from the first to the last, at most {MOST_KEYS}")
            row += range(first, last + 1)
        rows.append(row)
    return tuple(tuple(row) for row in rows)


def of_flags(rows: Iterable[Sequence[bool]]) -> Mask:
    """The mask of a table of flags, one row a query; None where every query sees every key.

    >>> of_flags([[True, False], [True, True]])
    'causal'
    """
    found = [list(row) for row in rows]
    if all(all(row) for row in found):
        return None
    return mask_of([[k for k, on in enumerate(row) if on] for row in found])


class Pattern(NamedTuple):
    """A mask as a rule for any number of positions: what unit u reads; with `open`, everything before it too."""

    index: Slide | Table  # type: ignore[assignment]  # no tuple method here
    open: bool


def pattern(rows: Sequence[Sequence[int]], keys: int) -> Pattern | None:
    """The rule that a mask follows, affine up to a period; None where it follows none, or too few rows show it.

    A rule must be seen at least three times, and away from both ends (where rows are cut off).

    >>> pattern([range(u + 1) for u in range(9)], 9)
    Pattern(index=Slide(1, 0, 1, 1, 'zeros'), open=True)
    >>> pattern([range(max(0, u - 2), min(9, u + 2)) for u in range(9)], 9)
    Pattern(index=Slide(1, -2, 4, 1, 'zeros'), open=False)
    >>> pattern([range(u // 2 * 2, u // 2 * 2 + 2) for u in range(8)], 8)
    Pattern(index=Table(2, [[0, 1], [0, 1]], 'zeros'), open=False)
    """
    count = len(rows)
    if not all(rows):
        return None
    runs = [range(r[0], r[-1] + 1) if r[-1] - r[0] + 1 == len(r) else r for r in rows]
    if count == keys and all(len(r) == u + 1 and r[-1] == u for u, r in enumerate(rows)):  # causal, however short
        return Pattern(Slide(1, 0, 1), True)
    is_open = all(isinstance(r, range) and r.start == 0 for r in runs)
    for period in range(1, count // 3 + 1):
        pairs = zip(runs, runs[period:], strict=False)
        if not all(_follows(a, b, period, keys, is_open) for a, b in pairs):
            continue
        phases: list[Sequence[int]] = []
        for phase in range(period):
            own = runs[phase::period]
            if own[0][-1] >= keys - 1 or not (is_open or own[-1][0] > 0):
                return None
            begin, end = own[-1 if not is_open else 0], own[0]
            turn = (len(own) - 1) * period
            low = phase if is_open else begin[0] - turn
            if is_open or isinstance(begin, range):
                phases.append(range(min(low, end[-1]), end[-1] + 1))
            else:
                phases.append(sorted({t - i * period for i, r in enumerate(own) for t in r}))
        (first, *others) = phases
        if not others and isinstance(first, range):
            return Pattern(Slide(1, first.start, len(first)), is_open)
        return Pattern(Table(period, phases), is_open)
    return None


def _follows(row: Sequence[int], later: Sequence[int], period: int, keys: int, is_open: bool) -> bool:
    """Whether the row a period later is the same, moved on: but for what lies beyond the ends."""
    if isinstance(row, range) and isinstance(later, range):
        moved = range(0 if is_open else row.start + period, min(row.stop + period, keys))
        return moved == (later if is_open else range(max(later.start, period), later.stop))
    return [t + period for t in row if t + period < keys] == [t for t in later if t >= period]
