"""Code that looks at what a length is, not at how much it is: what it does with plain numbers is what counts."""

from __future__ import annotations

import cProfile
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
Look = Callable[[Any, Any, Any], Any]  # of a map, its height and its width


class Net(nn.Module):
    """It pools by a look at the lengths of its map."""

    def __init__(self, look: Look, refuses: bool = False) -> None:
        super().__init__()
        self.look, self.refuses = look, refuses
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        if self.look(x, h, w):
            if self.refuses:
                raise ValueError("refused")
            x = F.max_pool2d(x, 2)
        return self.conv(x[..., :20, :])


def same(a: Any, b: Any) -> bool:
    return a is b


def of_a_kind(x: Any, h: Any, w: Any) -> bool:
    kind = type(w)
    return kind in (int, float)


@pytest.mark.parametrize(
    ("look", "told"),
    [
        (lambda x, h, w: type(h) is int, "type(h)"),
        (lambda x, h, w: type(h // 2) == int, "type(h // 2)"),  # noqa: E721
        (lambda x, h, w: isinstance(h, int) and h.__class__ is int, "h.__class__"),
        (lambda x, h, w: type(x.shape) is torch.Size, "type(x.shape)"),
        (lambda x, h, w: h is w, "h is w"),
        (lambda x, h, w: x.shape[2] is not x.shape[3], "x.shape[2] is not x.shape[3]"),
        (lambda x, h, w: any(h is n for n in (24, 30)), "h is n"),
        (lambda x, h, w: operator.is_(h, w), "operator.is_(h, w)"),
        (lambda x, h, w: id(h) == id(w), "id(h)"),
        (lambda x, h, w: same(h, w), "a is b"),
        (of_a_kind, "type(w)"),
    ],
)
def test_a_look_at_what_a_length_is_is_not_followed(look: Look, told: str) -> None:
    with pytest.raises(RfcalcError, match="what a length is") as caught:
        rfcalc.sizes(Net(look), (1, 40, 24))
    assert f": {told} (test_sizes_of_looks.py, line " in caught.value.why


def kept(x: Any, h: Any, w: Any) -> bool:
    """Looks at what are no lengths: kinds of objects, two maps, a number of the code, something that is missing."""
    window, other, missing = 7, x, None
    return type(window) is int and type(x) is torch.Tensor and x is other and h is not missing and h is not x


def test_a_look_at_something_else_is_none() -> None:
    assert rfcalc.sizes(Net(kept), (1, 40, 24)).axes[0].valid.start == 2


def test_what_runs_with_plain_numbers_is_what_was_read() -> None:
    """At the first size, where it is seen in no other way; at a size that is told to be taken, and at one refused."""
    with pytest.raises(RfcalcError, match="something else with plain numbers") as caught:
        rfcalc.sizes(Net(lambda x, h, w: hasattr(h, "made")), (1, 40, 24))
    with pytest.raises(RfcalcError) as caught:
        rfcalc.sizes(Net(lambda x, h, w: hasattr(h, "made") and h < 30), (1, 40, 24))
    assert caught.value.why == "at 1x24x24 it gives another output with plain numbers for its lengths"
    with pytest.raises(RfcalcError) as caught:
        rfcalc.sizes(Net(lambda x, h, w: hasattr(h, "made") and h < 30, True), (1, 40, 24))
    assert "is told to be refused, and it runs with plain numbers" in caught.value.why
    with pytest.raises(RfcalcError) as caught:
        rfcalc.sizes(Net(lambda x, h, w: not hasattr(h, "made") and h < 30, True), (1, 40, 24))
    assert "1x24x24 is told to be taken, and with plain numbers for its lengths it is refused" in caught.value.why


class Passed(nn.Module):
    def forward(self, x: Any) -> Any:
        return F.max_pool2d(x, 2) if x.shape[-2] == 50 else x


def test_code_that_runs_no_operator_at_the_first_size_is_told() -> None:
    assert rfcalc.sizes(Passed(), (1, 40, 24)).output(0) == {"identity": "n if n != 50 else 25"}


def test_what_takes_plain_numbers_only_is_said_so() -> None:
    with pytest.raises(RfcalcError, match="cannot be told") as caught:
        rfcalc.sizes(Net(lambda x, h, w: int.__add__(h, 1) == 25), (1, 40, 24))
    assert "takes plain numbers only" in caught.value.why
    with pytest.raises(RfcalcError, match="cannot be told"):
        rfcalc.sizes(Net(lambda x, h, w: pickle.dumps(h) == pickle.dumps(24)), (1, 40, 24))


def test_a_profile_of_the_process_goes_on() -> None:
    profile = cProfile.Profile()
    profile.enable()
    try:
        rfcalc.sizes(Net(kept), (1, 40, 24))
    finally:
        profile.disable()
    assert any("test_sizes_of_looks" in str(entry.code) for entry in profile.getstats())
