"""Seeded mistakes: each must be caught by a short run of the checks that the property tests make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from checks import check
from graphs import Case, graphs
from hypothesis import HealthCheck, Phase, given, seed, settings

import rfcalc.core.sliding as sliding
import rfcalc.layers.conv as conv
import rfcalc.layers.transpose as transpose
from rfcalc import report
from rfcalc.core.cost import Formula
from rfcalc.core.sliding import Sliding
from rfcalc.core.window import Slide, Window

CASES = 120

slide = Sliding.slide
pull = Window.pull
join = Window.__or__


def short_run() -> None:
    """The properties on a few graphs; raises what they find."""

    @seed(5)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(case=graphs(flavours=("local", "decoder")))
    def agrees(case: Case) -> None:
        check(case.network, Counter())

    agrees()


def dilation_dropped(self: Sliding, n: int, i: int) -> Any:
    right = slide(self, n, i)
    return Slide(right.stride, right.first, right.kernel, 1, right.border) if isinstance(right, Slide) else right


def padding_doubled(self: Sliding, n: int, i: int) -> Any:
    right = slide(self, n, i)
    if not isinstance(right, Slide):
        return right
    return Slide(right.stride, 2 * right.first, right.kernel, right.dilation, right.border)


def stride_of_the_layer(self: Window, index: Any) -> Window:
    """The kernel grows the window by the stride of its own layer, not by that of the layers before."""
    if self.period > 1 or not isinstance(index, Slide) or self.ends[0] is None:
        return pull(self, index)
    (a, b), s = self.ends[0], index.stride
    last = index.first + index.dilation * (index.kernel - 1)
    return Window(self.advance * s, ((a + s * index.first, b + s * last),))


def larger_of_two(self: Window, other: Window) -> Window:
    """A join that takes the maximum of the sizes in place of the hull of the union."""
    if self.empty or other.empty:
        return join(self, other)
    return self if self.size >= other.size else other


CEIL = "ceildiv(n + a + b - d * (k - 1) - 1, s)"

MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "dilation dropped": lambda patch: patch.setattr(Sliding, "slide", dilation_dropped),
    "padding doubled": lambda patch: patch.setattr(Sliding, "slide", padding_doubled),
    "stride of the layer instead of the incoming one": lambda patch: patch.setattr(Window, "pull", stride_of_the_layer),
    "join as maximum of sizes": lambda patch: patch.setattr(Window, "__or__", larger_of_two),
    "off by one in ceil mode: one more": lambda patch: patch.setattr(
        sliding, "OUT_CEIL", Formula("output_size", f"{CEIL} + 2", "")
    ),
    "off by one in ceil mode: rounded down": lambda patch: patch.setattr(sliding, "OUT_CEIL", sliding.OUT),
    "off by one in ceil mode: PyTorch's rule is ONNX's": lambda patch: patch.setattr(
        Sliding, "length", lambda self, n, i, length=Sliding.length: length(_onnx(self), n, i)
    ),
    "groups ignored in weights": lambda patch: patch.setattr(
        conv, "WEIGHTS", Formula("weights", "prod(k) * c * m + 0 * g", "")
    ),
    "transposed output off by one": lambda patch: patch.setattr(
        transpose, "OUT", Formula("output_size", "(n - 1) * s - a - b + d * (k - 1) + e + 2", "")
    ),
    "peak memory without what the node reads": lambda patch: patch.setattr(
        report, "peak", lambda walked, itemsize: (itemsize * max(s.values for s in walked.shapes), 0)
    ),
}


def _onnx(geometry: Sliding) -> Sliding:
    if geometry.rounding != "ceil":
        return geometry
    return Sliding(geometry.kernel, geometry.stride, geometry.padding, geometry.dilation, "ceil-onnx", geometry.border)


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_mutant_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    with pytest.raises((AssertionError, ValueError, IndexError, KeyError)):  # wrong sizes may break the oracle's loops
        short_run()


def test_without_a_mutant_nothing_is_caught() -> None:
    """The control: what catches the mutants is not a mistake that is there anyway."""
    short_run()
