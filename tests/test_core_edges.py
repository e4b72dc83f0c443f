"""Edges of the core that mutants showed: limits, open comparisons, empty phases, brackets."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import sympy

import rfcalc
from rfcalc.core import Registry, shape
from rfcalc.core.errors import LayerError, NotationError, RfcalcError
from rfcalc.core.index import Var
from rfcalc.core.integers import LARGEST, LONGEST, bound, read
from rfcalc.core.masks import Several, checked, mask_of, pattern
from rfcalc.core.shape import Shape, axis_groups
from rfcalc.core.size import maximum, minimum, same
from rfcalc.core.sliding import Sliding
from rfcalc.core.window import Border, Slide, Table, Window
from rfcalc.receptive.unit_sets import joint

N, M = sympy.symbols("N M", integer=True, positive=True)


def put(value: Any, i: int) -> int:
    """An expression at an index; a number is itself."""
    found: int = value if isinstance(value, int) else value.bind({"i": i})
    return found


@pytest.mark.parametrize(("n", "m"), [(3, 8), (8, 3), (5, 5)])
def test_open_comparisons_are_right_whatever_the_numbers(n: int, m: int) -> None:
    values = {N: n, M: m}
    assert minimum(N, M).subs(values) == min(n, m)
    assert maximum(N, M).subs(values) == max(n, m)
    assert not same(N, M)
    assert same(N, N)


def test_numbers_up_to_the_limit() -> None:
    assert read("10**15") == read(f"{LARGEST - 1} + 1") == LARGEST
    with pytest.raises(NotationError, match="too large"):
        read(f"{LARGEST - 1} + 2")
    longest = "1" + " + 1" * 74
    assert len(longest.ljust(LONGEST)) == LONGEST
    assert read(longest.ljust(LONGEST)) == 75
    with pytest.raises(NotationError, match="too long"):
        read(longest.ljust(LONGEST + 1))
    assert Shape.parse(f"1x{shape.LARGEST}").dims == (1, shape.LARGEST)
    with pytest.raises(RfcalcError):
        Shape.parse(f"1x{shape.LARGEST + 1}")


@pytest.mark.parametrize("text", ["2 3", "2 +", "(2", "2)", "* 2", "2 $ 3"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        read(text)


def test_every_sign_computes_and_is_written_with_the_brackets_it_needs() -> None:
    for signs in itertools.product(("+", "-", "*", "//", "%"), repeat=2):
        for text in (f"(i {signs[0]} 7) {signs[1]} 3", f"i {signs[0]} (7 {signs[1]} 3)"):
            made = read(text)
            for i in (1, 4, 11):
                assert put(made, i) == eval(text, {"i": i}), text
            assert put(read(str(made)), 11) == eval(text, {"i": 11}), text
    assert put(read("2**i"), 5) == 32
    assert read(str(read("(i + 1)**2"))).bind({"i": 4}) == 25


@pytest.mark.parametrize(
    ("text", "most"),
    [("i + 7", 17), ("7 - i", 17), ("i*7", 70), ("i % 7", 7), ("i // 2", 10), ("2**i", 1024), ("i**1", 10)],
)
def test_bounds_of_expressions(text: str, most: int) -> None:
    assert bound(read(text), {"i": 10}) == most
    made = read(text)
    assert all(abs(put(made, i)) <= most for i in range(11))


def test_bounds_that_are_too_large_are_refused() -> None:
    assert bound(read("i*i"), {"i": 31_000_000}) == 31_000_000**2
    for text in ("i*i", "2**i", "i**3"):
        with pytest.raises(NotationError, match="grows too large"):
            bound(read(text), {"i": 32_000_000})
    assert bound(Var("k"), {}) == 0


def test_windows_are_stored_at_their_smallest_period_also_where_phases_see_nothing() -> None:
    twice = Window(4, ((0, 2), None, (2, 4), None))
    assert (twice.period, twice.advance) == (2, 2)
    other = Window(4, ((0, 2), None, (2, 4), (3, 5)))
    assert other.period == 4
    assert [other.unit(u) for u in range(6)] == [(0, 2), None, (2, 4), (3, 5), (4, 6), None]
    assert Window(3, ((0, 2), (1, 4))).period == 2
    assert Window(2, ((0, 2), (1, 4))).period == 2


def test_tables_are_equal_where_everything_is() -> None:
    one = Table(2, ((0, 1), (1,)))
    assert one == Table(2, ((0, 1), (1,)))
    assert one != Table(3, ((0, 1), (1,)))
    assert one != Table(2, ((0, 1), (0,)))


def test_axes_that_belong_together() -> None:
    assert axis_groups((4,), (4, 1)) == [([0], [0]), ([], [1])]
    assert axis_groups((4, 1), (4,)) == [([0], [0]), ([1], [])]
    assert axis_groups((2, 6), (3, 4)) == [([0, 1], [0, 1])]


def border_of(geometry: Sliding, n: int) -> str:
    found = geometry.slide(n, 0)
    assert isinstance(found, Slide)
    return found.border


def test_a_border_that_no_window_reaches_brings_nothing_in() -> None:
    padded = Sliding((3,), (2,), ((0, 1),), (1,), "floor", Border.REFLECT)
    assert border_of(padded, 9) == Border.ZEROS
    assert border_of(padded, 10) == Border.REFLECT
    assert border_of(Sliding((3,), (2,), ((1, 0),), (1,), "floor", Border.REFLECT), 9) == Border.REFLECT


@pytest.mark.parametrize("n", [9, N])
def test_without_padding_no_border_brings_anything_in_whatever_the_length(n: Any) -> None:
    for border in Border:
        for stride in (1, 2):
            found = Sliding((3,), (stride,), border=border).slide(n, 0)
            assert found == Slide(stride, 0, 3)
            assert isinstance(found, Slide)
            assert found.border == Border.ZEROS
        around = Sliding((3,), padding=((1, 1),), border=border).slide(n, 0)
        assert isinstance(around, Slide)
        assert around.border == border


def test_masks_along_an_axis() -> None:
    """One for each of its positions; no mask at all, or no axis, is refused."""
    two = Several(0, (((0,), (1, 0)), ((1,), (0,))))
    assert mask_of(two) == Several(0, (((0,), (0, 1)), ((1,), (0,))))
    for wrong in (Several(0, ()), Several(-1, two.masks), Several("heads", two.masks)):  # type: ignore[arg-type]
        with pytest.raises(LayerError, match="a mask for each of its positions"):
            mask_of(wrong)
    checked(two, (2, 2, 2))
    for dims in ((3, 2, 2), (2, 2), (2, 3, 2), (2, 2, 1)):
        with pytest.raises(RfcalcError):
            checked(two, dims)


def test_rules_that_masks_follow() -> None:
    """Bands whose two ends are seen inside the keys: the rule gives every row back, and that of a longer mask too."""
    found = 0
    for low, wide, step, count in itertools.product((-3, -1, 0, 1), (1, 2, 4), (1, 2), (9, 12)):

        def rows(n: int, low: int = low, wide: int = wide, step: int = step) -> list[list[int]]:
            starts = (u // step * step + low for u in range(n))
            return [[p for p in range(at, at + wide) if 0 <= p < n] for at in starts]

        told = pattern(rows(count), count)
        if told is None:
            continue
        found += 1
        for n in (count, 3 * count):
            assert [[p for p in told.index.taps(u) if 0 <= p < n] for u in range(n)] == rows(n)
    assert found >= 15
    reversed_rows = [range(u, 9) for u in range(9)]
    assert pattern(reversed_rows, 9) is None  # every row ends with the keys: how far it would go on is not shown
    assert pattern([range(max(0, u - 1), 9) for u in range(9)], 9) is None


def test_windows_of_two_phases_that_are_one() -> None:
    assert (Window(4, ((0, 2), (2, 4))).period, Window(4, ((0, 2), (2, 4))).advance) == (1, 2)
    assert Window(6, ((0, 2), (2, 4), (4, 6))).period == 1


def test_a_name_is_registered_once_also_as_an_alias() -> None:
    registry: Registry[int] = Registry("thing")
    registry.add("one", 1, ("uno",))
    for name, aliases in (("one", ()), ("uno", ()), ("two", ("one",)), ("two", ("uno",))):
        with pytest.raises(ValueError, match="registered twice"):
            registry.add(name, 2, aliases)


def test_slides_of_unlike_axes() -> None:
    alike, unlike = Sliding((3,)), Sliding((3, 1), (1, 2))
    assert alike.lengths((9, 7)) == (7, 5)
    assert unlike.lengths((9, 9)) == (7, 5)
    assert [s.kernel for s in unlike.slides((9, 9)) if isinstance(s, Slide)] == [3, 1]


@pytest.mark.parametrize(
    ("made", "shape", "figure", "right"),
    [  # each by hand, from the definition
        ("dwconv3", "4x8x8", "params", 4 * 9 + 4),
        ("scale bias", "4x8x8", "params", 4 + 4),
        ("scale", "4x8x8", "params", 4),
        ("rmsnorm", "4x8", "params", 8),
        ("bn", "4x8x8", "buffers", 2 * 4),
    ],
)
def test_parameters_by_hand(made: str, shape: str, figure: str, right: int) -> None:
    assert getattr(rfcalc.analyze(made, shape).totals, figure) == right


def test_states_of_recurrences_by_hand() -> None:
    """One state for each of 7 sequences; of an LSTM the cell too."""
    x = Shape(4, 7, 5)  # 4 channels of 7 × 5: along the last but one axis, which is not the channels
    for cell, count in (("lstm", 2), ("gru", 1), ("rnn", 1)):
        layer = rfcalc.Recurrent(cell, 6)
        assert layer.carried((x,), layer.output(x)) == count * 6 * 4


@pytest.mark.parametrize(("stop", "ended"), [(9, -1), (10, None), (12, None), (3, 3), (5, 5), (-2, -2)])
def test_a_stop_near_the_end_is_counted_from_there(stop: int, ended: int | None) -> None:
    assert rfcalc.Slice(1, 0, stop).ended(Shape(2, 10), 1).stop == ended


def test_joint_sets_of_pixels() -> None:
    assert joint([(0, 0), (0, 0)]) == (0, 0)
    assert joint([(3, 0b1), (0, 0)]) == (3, 0b1)
    assert joint([(3, 0b1), (5, 0b1)]) == (3, 0b101)


@pytest.mark.parametrize("text", ["²128", "1²", "i²", "²", "(² + 1)", "٣²"])
def test_superscripts_are_no_digits(text: str) -> None:
    """`str.isdigit` holds for them, and `int` refuses them."""
    with pytest.raises(NotationError, match="not a whole-number expression"):
        read(text)


def test_no_digit_is_asked_for_that_int_refuses() -> None:
    sources = (Path(rfcalc.__file__).parent).rglob("*.py")
    assert [str(path) for path in sources if ".isdigit()" in path.read_text(encoding="utf-8")] == []
