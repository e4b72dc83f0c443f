"""Units of long signals: the walk back from one unit, and the count by phases, against the walk of all units."""

from __future__ import annotations

import random
import subprocess
import sys
from time import perf_counter
from typing import Any

import pytest

import rfcalc
from rfcalc.core.errors import LimitError
from rfcalc.receptive import long_signal
from rfcalc.receptive.long_signal import LongSignal
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import UnitWalk

PIECES = (
    *("conv3-4", "conv5-4/2", "conv3-4 d2", "conv4-4/3 p2", "conv1-4/2 p0", "conv3-4 reflect", "conv2-4 p0 d3"),
    *("conv1-4/3 p0", "maxpool2", "maxpool3/2", "convT2-4/2", "convT3-4/2", "convT2-4/3", "convT1-4/2", "up2"),
    *("conv3-4 circular", "conv3-4 replicate", "[conv3-4 | conv5-4] add", "[conv3-4 d4 | conv1-4] concat"),
)


def chain(draw: random.Random) -> str:
    return " > ".join(draw.choice(PIECES) for _ in range(draw.randint(1, 5)))


def test_counting_by_phases_equals_listing_all_units() -> None:
    draw = random.Random(14)
    compared = 0
    for _ in range(250):
        text, samples = chain(draw), draw.randint(60, 300)
        try:
            walked = rfcalc.analyze(text, f"1x{samples}")
        except rfcalc.RfcalcError:
            continue
        last = len(walked.shapes) - 1
        listed = regions(walked, last)
        try:
            counted = LongSignal(walked, last)
        except LimitError:
            continue
        assert counted.sizes() == listed.sizes(), (text, samples)
        assert counted.unseen() == samples - listed.all.count, (text, samples)
        for pixel in (0, 1, samples // 2, samples - 1):
            assert counted.reached_by(pixel) == listed.reached_by((pixel,)), (text, samples, pixel)
        compared += 1
    assert compared > 150


def test_ends_of_a_shorter_signal_are_those_walked_back_from_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """All units near an end are listed at once on a signal that is shorter by whole periods."""
    draw = random.Random(16)
    made: list[int] = []
    shorter = long_signal._shorter

    def noted(*given: Any) -> Any:
        made.append(given[-1])
        return shorter(*given)

    monkeypatch.setattr(long_signal, "_shorter", noted)
    compared = 0
    for _ in range(250):
        text, samples = chain(draw), draw.randint(100, 400)
        try:
            walked = rfcalc.analyze(text, f"1x{samples}")
            made.clear()
            found = LongSignal(walked, len(walked.shapes) - 1)
        except rfcalc.RfcalcError:
            continue
        for end, units, seen in (
            ("left", range(found.units), found.left),
            ("right", range(found.units - 1, -1, -1), found.right),
        ):
            alone = [found._seen(u) for u in units[: len(seen)]]
            assert [*seen] == alone, (text, samples, end)
        compared += bool(made)
    assert compared > 100


def test_wide_ends_are_told_at_once() -> None:
    """Of WaveNet's 16,000 samples 3,069 near the left end see less; each walk back from one of them takes 10 ms."""
    start = perf_counter()
    field = rfcalc.receptive_field("wavenet")
    assert field.full_units == 16000 - 3069
    assert field.sizes[(1,)] == field.sizes[(3069,)] == 1
    assert perf_counter() - start < 8


def test_control_a_wrong_period_is_seen() -> None:
    walked = rfcalc.analyze("conv3-4 > convT3-4/2", "1x100")
    counted = LongSignal(walked, 2)
    assert counted.period == 2
    counted.phases = counted.phases[:1] * 2
    assert counted.sizes() != regions(walked, 2).sizes()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("resnet18", "3x64x64"), ("densenet121", "3x64x64"), ("googlenet", "3x64x64"), ("unet", "1x188x188")),
        *(("swin-t", "3x64x64"), ("shufflenet-v2-1.5", "3x64x64"), ("conv3-4 reflect > flatten > fc8", "3x9x9")),
        *(("conv3-8 > shuffle2 > convT3-4/2 > roll1x2 > conv3-4 circular", "8x9x11"), ("se-resnet50", "3x64x64")),
    ],
)
def test_one_unit_is_the_same_by_both_walks(name: str, shape: str) -> None:
    draw = random.Random(name)
    try:
        report = rfcalc.analyze(name, shape)
    except rfcalc.RfcalcError as error:
        pytest.skip(str(error))
    for row in draw.sample(report.rows, min(10, len(report))):
        every = regions(report, row.name)
        for _ in range(3):
            unit = tuple(draw.randrange(int(n)) for n in row.shape.spatial)
            one = UnitWalk(report, row.position, unit).region
            assert set(one.pixels()) == set(every.unit(unit).pixels()), (row.name, unit)


def test_a_unit_of_ten_million_samples_costs_what_its_windows_cost() -> None:
    command = "from rfcalc.cli import run; run({!r}); import resource; "
    command += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    text, shape = "conv3-8 > maxpool2", ("--input", "1x10000000")
    seconds, peaks = [], []
    for arguments in (["table", text, *shape], ["rf", text, *shape, "--unit", "4999999"], ["rf", text, *shape]):
        start = perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", command.format(arguments)], capture_output=True, text=True, check=True
        )
        seconds.append(perf_counter() - start)
        peaks.append(int(done.stdout.split()[-1]))
        if arguments[0] == "rf":
            assert "4999998 of the 5000000 units see all of it" in done.stdout
    assert max(seconds[1:]) < 3 * seconds[0] + 1, seconds
    assert max(peaks[1:]) < 2 * peaks[0], peaks


def test_what_is_not_counted_is_said() -> None:
    field = rfcalc.receptive_field("conv3-4 > shuffle2 > maxpool2", input="4x30000x30000")
    assert any("of the" in s or "is not told" in s for s in field.sentences)
