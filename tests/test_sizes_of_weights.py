"""Code whose fully connected layer takes one number of features: what it does at sizes that only this refuses."""

from __future__ import annotations

from typing import Any

import pytest

import rfcalc

torch = pytest.importorskip("torch")
from test_sizes_of_code import against_torch  # noqa: E402

nn, F = torch.nn, torch.nn.functional


class Classifier(nn.Module):
    """A stem that halves twice; a last map of 7 x 7 that is averaged, and a layer that takes no other."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.MaxPool2d(3, 2, 1))
        self.last, self.fc = nn.Conv2d(8, 8, 3, 2, 1), nn.Linear(8, 5)

    def inside(self, y: Any) -> Any:
        return y

    def deep_inside(self, y: Any) -> Any:
        return self.inside(y)

    def forward(self, x: Any) -> Any:
        y = self.inside(self.stem(x))
        y = F.avg_pool2d(self.deep_inside(self.last(y)), 7, 1)
        return self.fc(y.view(y.size(0), -1))


class Shuffled(Classifier):
    """As ShuffleNet does, also where the map is 7 x 7 at all sizes that run."""

    def inside(self, y: Any) -> Any:
        n, c, h, w = y.size()
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class Spread(Classifier):
    """As CBAM does: a gate is given back its map's size."""

    def inside(self, y: Any) -> Any:
        gate = F.adaptive_avg_pool2d(y, 1)
        return y * gate.expand_as(y)


class Cropped(Classifier):
    """As BagNet does: the shorter branch says how much of the longer one is left."""

    def inside(self, y: Any) -> Any:
        less = F.avg_pool2d(y, 3, 1)
        cut = y.size(-1) - less.size(-1), y.size(-2) - less.size(-2)
        return F.pad(y[:, :, : y.size(-2) - cut[1], : y.size(-1) - cut[0]] + less, (1, 1, 1, 1))


class Doubled(Classifier):
    """As AirNet does: a map is halved and doubled again, which fits every second size only."""

    def inside(self, y: Any) -> Any:
        half = F.max_pool2d(y, 3, 2, 1)
        doubled = F.interpolate(half, scale_factor=2, mode="bilinear", align_corners=True)
        return y * doubled

    def deep_inside(self, y: Any) -> Any:
        return y.view(y.size(0), *y.shape[1:])


@pytest.mark.parametrize("kind", [Shuffled, Spread, Cropped])
def test_a_layer_that_takes_one_number_of_features_hides_nothing(kind: Any) -> None:
    against_torch(kind(), (3, 56, 56), range(1, 121))


def test_what_code_refuses_before_its_last_layer_is_told_of_no_later_one() -> None:
    module = Doubled().eval()
    try:
        found = rfcalc.sizes(module, (3, 56, 56))
    except rfcalc.RfcalcError:
        return  # nothing is told
    for n in range(1, 121):
        try:
            module(torch.zeros(1, 3, n, 56))
            runs = True
        except RuntimeError:
            runs = False
        assert (n in found.axes[0].valid) == runs, n
