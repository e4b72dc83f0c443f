"""Masks that are fixed: which keys each query of attention may see, which taps of a kernel are used.

A mask is ``"causal"`` (query i sees keys 0 … i, as PyTorch's ``is_causal``) or a list of positions for each query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from rfcalc.core.errors import LayerError, ShapeError
from rfcalc.core.size import Size, agree, is_number
from rfcalc.core.syntax import Word, split
from rfcalc.core.window import Index, Listed, Slide, Table, Unsized

Mask: TypeAlias = "str | tuple[tuple[int, ...], ...] | None"

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
    told = f"{given!r:.60} is no mask"
    fix = 'write "causal", or a list of key positions for each query'
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise LayerError(told, fix=fix)
    rows: list[tuple[int, ...]] = []
    for row in given:
        if isinstance(row, str) or not isinstance(row, Iterable):
            raise LayerError(told, fix=fix)
        keys = tuple(row)
        if not all(is_number(k) and k >= 0 for k in keys):
            raise LayerError(told, why="positions are whole numbers, counted from 0", fix=fix)
        rows.append(tuple(sorted({int(k) for k in keys})))
    if not rows:
        raise LayerError(told, fix=fix)
    causal = all(row == tuple(range(i + 1)) for i, row in enumerate(rows))
    return CAUSAL if causal else tuple(rows)


def checked(mask: Mask, queries: Size, keys: Size) -> None:
    """Refuse a mask of other numbers of queries and keys.

    Raises:
        ShapeError: it is.
    """
    if mask is None or isinstance(mask, str):
        return
    most = max((row[-1] for row in mask if row), default=0)
    if not agree(len(mask), queries) or (is_number(keys) and most >= keys):
        raise ShapeError(
            f"a mask of {len(mask)} queries that see keys up to {most} does not fit {queries} queries and {keys} keys"
        )


def allowed(mask: Mask, query: int, keys: int) -> Sequence[int]:
    """The keys that a query sees.

    >>> list(allowed("causal", 2, 5)), list(allowed(((0,), (1, 4)), 1, 5))
    ([0, 1, 2], [1, 4])
    """
    if mask is None:
        return range(keys)
    if isinstance(mask, str):
        return range(min(query + 1, keys))
    return mask[query]


def keyed(mask: Mask, queries: Size, keys: Size) -> Index:
    """Which keys a query reads, as an index."""
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
    return " keys" + "/".join(_runs(row) or "-" for row in mask)


def _runs(row: tuple[int, ...]) -> str:
    found: list[str] = []
    i = 0
    while i < len(row):
        j = i
        while j + 1 < len(row) and row[j + 1] == row[j] + 1:
            j += 1
        found.append(str(row[i]) if i == j else f"{row[i]}:{row[j]}")
        i = j + 1
    return ",".join(found)


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
    rows: list[list[int]] = []
    count = 0
    for part in told.split("/"):
        row: list[int] = []
        for run in split(part, ",") if part != "-" else ():
            ends = split(run, ":")
            if len(ends) > 2 or not all(e.isascii() and e.isdigit() and len(e) < 10 for e in ends):
                raise LayerError(f"{run or 'nothing'} does not say keys", fix="write keys0/0:1/0,2")
            first, last = int(ends[0]), int(ends[-1])
            count += last - first + 1
            if last < first or count > MOST_KEYS:
                raise LayerError(f"{run} does not say keys", why=f"from the first to the last, at most {MOST_KEYS}")
            row += range(first, last + 1)
        rows.append(row)
    word.culprit = None
    return mask_of(rows)


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
    Pattern(index=Slide(1, 0, 1), open=True)
    >>> pattern([range(max(0, u - 2), min(9, u + 2)) for u in range(9)], 9)
    Pattern(index=Slide(1, -2, 4), open=False)
    >>> pattern([range(u // 2 * 2, u // 2 * 2 + 2) for u in range(8)], 8)
    Pattern(index=Table(2, [[0, 1], [0, 1]], <Border.ZEROS: 'zeros'>), open=False)
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
