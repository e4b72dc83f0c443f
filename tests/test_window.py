"""The laws in the docstring of rfcalc/core/window.py, on random indices and windows, sparse ones included."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcalc.core.window import LONGEST_PERIOD, START, STEP, Ends, PeriodTooLong, Slide, Table, Window, hull

MANY = settings(max_examples=1500, deadline=None, derandomize=True, database=None)
AROUND = range(-9, 15)

slides = st.builds(Slide, st.integers(1, 4), st.integers(-5, 5), st.integers(1, 4), st.integers(1, 3))
tables = st.builds(Table, st.integers(0, 5), st.lists(st.lists(st.integers(-5, 7), max_size=3), min_size=1, max_size=5))
monotone = st.builds(
    lambda s, k, p: Table(1, [[(o + p - t) // s for t in range(k) if (o + p - t) % s == 0] for o in range(s)]),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 3),
)  # transposed convolutions
indices = st.one_of(slides, tables, monotone)
intervals = st.builds(lambda a, n: (a, a + n), st.integers(-6, 6), st.integers(0, 5))
ends = st.one_of(intervals, intervals, intervals, st.none())


@st.composite
def windows(draw: st.DrawFn, stride: Fraction | None = None, sparse: bool = True) -> Window:
    """A window, of the given stride if there is one."""
    rate = draw(rates) if stride is None else stride
    times = draw(st.integers(1, 3))
    period = rate.denominator * times
    each = ends if sparse else intervals
    return Window(rate.numerator * times, draw(st.lists(each, min_size=period, max_size=period)))


rates = st.builds(Fraction, st.integers(0, 4), st.integers(1, 3))


@st.composite
def families(draw: st.DrawFn, count: int) -> list[Window]:
    """Windows of one stride."""
    rate = draw(rates)
    return [draw(windows(rate)) for _ in range(count)]


def union(parts: Iterable[Ends]) -> Ends:
    """The hull by its definition."""
    points = [p for part in parts if part is not None for p in part]
    return (min(points), max(points)) if points else None


def seen(window: Window) -> list[Ends]:
    return [window.unit(u) for u in AROUND]


@MANY
@given(st.integers(0, 6), st.lists(ends, min_size=1, max_size=6))
def test_a_unit_is_its_phase_moved_by_the_turns(advance: int, given_ends: list[Ends]) -> None:
    """Law 1, before and after the window has been brought to its smallest period."""
    window = Window(advance, given_ends)
    for u in AROUND:
        e, turns = given_ends[u % len(given_ends)], u // len(given_ends)
        assert window.unit(u) == (None if e is None else (e[0] + advance * turns, e[1] + advance * turns))


@MANY
@given(windows(), indices)
def test_pulling_back_is_the_hull_over_what_is_read(window: Window, index: Slide | Table) -> None:
    """Law 2, at negative units too."""
    pulled = window.pull(index)
    for u in AROUND:
        assert pulled.unit(u) == union(window.unit(m) for m in index.taps(u)), u


@MANY
@given(windows(sparse=False), slides, monotone, slides)
def test_pulling_back_step_by_step_is_reading_what_is_read(w: Window, a: Slide, b: Table, c: Slide) -> None:
    """A chain of three, against the sets themselves where the middle one skips nothing inside its hull."""
    chain = START.pull(a).pull(b).pull(c)
    for u in AROUND:
        assert chain.unit(u) == union((p, p) for m in c.taps(u) for k in b.taps(m) for p in a.taps(k))
    assert w.pull(a).pull(b).pull(c).unit(1) == union(
        w.unit(p) for m in c.taps(1) for k in b.taps(m) for p in a.taps(k)
    )


@MANY
@given(families(3))
def test_join_is_commutative_associative_idempotent(family: list[Window]) -> None:
    """Law 3."""
    a, b, c = family
    assert a.same_stride(b)
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert a | a == a
    assert a | Window(a.advance, a.ends) == a
    for u in AROUND:
        assert (a | b).unit(u) == union((a.unit(u), b.unit(u)))


@MANY
@given(families(1))
def test_nothing_is_neutral(family: list[Window]) -> None:
    nothing = Window(0, [None])
    assert nothing.empty
    assert family[0] | nothing == family[0] == nothing | family[0]
    assert nothing.same_stride(family[0])


@MANY
@given(families(2), indices)
def test_pulling_back_distributes_over_join(family: list[Window], index: Slide | Table) -> None:
    """Law 4."""
    v, w = family
    assert (v | w).pull(index) == v.pull(index) | w.pull(index)


@MANY
@given(windows())
def test_the_period_is_the_smallest(window: Window) -> None:
    """Law 5: no divisor of the period is one, and equal maps are equal values."""
    units = range(2 * window.period)
    for shorter in range(1, window.period):
        if window.period % shorter:
            continue
        moved = Fraction(window.advance * shorter, window.period)
        pairs = [(window.unit(u), window.unit(u + shorter)) for u in units]
        assert any((a is None) != (b is None) or (a and b and (a[0] + moved, a[1] + moved) != b) for a, b in pairs), (
            shorter
        )
    again = Window(window.advance * 3, [window.unit(u) for u in range(3 * window.period)])
    assert again == window
    assert hash(again) == hash(window)
    assert repr(again) == repr(window)


@MANY
@given(families(2))
def test_equal_maps_are_equal_values(family: list[Window]) -> None:
    v, w = family
    assert (v == w) == (seen(v) == seen(w))


@MANY
@given(windows(), st.integers(1, 12))
def test_what_is_read_off_a_window(window: Window, extent: int) -> None:
    """Size, stride, holes, the hull over a map's units: by their definitions."""
    phases = [window.unit(u) for u in range(window.period)]
    assert window.sizes == tuple(0 if e is None else e[1] - e[0] + 1 for e in phases)
    assert window.size == max(window.sizes)
    assert window.empty == all(e is None for e in phases)
    assert window.sparse == (None in phases)
    assert window.over(extent) == union(window.unit(u) for u in range(extent))
    if not window.empty:
        assert Fraction(*window.stride) == Fraction(window.advance, window.period)
        assert gcd(*window.stride) in (1, window.stride[0])
    if window.regular:
        following = [window.unit(u) for u in range(window.period + 1)]
        assert all(a and b and a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(following))


@MANY
@given(windows())
def test_reading_oneself_changes_nothing(window: Window) -> None:
    assert window.pull(STEP) == window
    assert window.pull(Table(1, [[0]])) == window


@MANY
@given(slides, indices)
def test_the_taps_of_an_index(slide: Slide, index: Slide | Table) -> None:
    """What is read moves by the advance after every period."""
    for u in AROUND:
        assert list(index.taps(u + index.period)) == [t + index.advance for t in index.taps(u)]
        first = slide.stride * u + slide.first
        assert list(slide.taps(u)) == [first + slide.dilation * t for t in range(slide.kernel)]


@MANY
@given(st.lists(ends, max_size=5))
def test_hull(parts: list[Ends]) -> None:
    assert hull(parts) == union(parts)


def test_a_common_period_that_is_too_long_is_refused() -> None:
    window = Window(1, [(u * u % 7, 10) for u in range(251)])
    other = Window(1, [(u * u % 11, 12) for u in range(263)])
    assert LONGEST_PERIOD < 251 * 263
    with pytest.raises(PeriodTooLong):
        _ = window | other
    with pytest.raises(PeriodTooLong):
        window.pull(Table(1, [[u % 3] for u in range(263)]))
