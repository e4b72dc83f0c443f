"""Congruences in words, and the valid sizes that are nearest to some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rfcalc.core.syntax import runs
from rfcalc.plan.formulas import Congruence

SOME_RUNS = 4  # of sizes below a bound


class Near(NamedTuple):
    """The valid size that is nearest to one that was asked for, and what is added to each side, or removed."""

    asked: tuple[int, ...]
    valid: tuple[int, ...]
    pad: tuple[tuple[int, int], ...]
    crop: tuple[tuple[int, int], ...]


def told(valid: Congruence) -> str:
    """The sizes in words.

    >>> told(Congruence(188, 16, (12,), ()))
    '16k + 12, from 188 on'
    >>> told(Congruence(None, 1, (), (224, 225, 226)))
    '224 … 226 only'
    """
    valid, without = _begun_earlier(valid)
    below = runs_told(valid.below)
    if valid.start is None:
        return f"{below} only" if below else "none"
    if valid.modulus == 1:
        text = f"every size from {valid.start} on"
    elif valid.rests == (0,):
        text = f"multiples of {valid.modulus}" + (f", from {valid.start} on" if valid.start > valid.modulus else "")
    elif len(valid.rests) == 1:
        text = f"{valid.modulus}k + {valid.rests[0]}, from {valid.start} on"
    else:
        text = f"n mod {valid.modulus} in {runs_told(valid.rests)}, from {valid.start} on"
    text += f", but not {runs_told(without)}" if without else ""
    return text + (f"{';' if without else ','} and {below}" if below else "")


def _begun_earlier(valid: Congruence) -> tuple[Congruence, list[int]]:
    """The same sizes with a smaller bound and some that are taken out, where that is much shorter.

    >>> _begun_earlier(Congruence(48, 8, (0,), (3, 8, 16, 24, 40)))
    (Congruence(start=8, modulus=8, rests=(0,), below=(3,)), [32])
    """
    if valid.start is None or len(runs(valid.below)) < SOME_RUNS:
        return valid, []
    least, found = len(runs(valid.below)) - 1, (valid, list[int]())
    there = set(valid.below)
    for start in (n for n in valid.below if n % valid.modulus in valid.rests):
        pattern = {n for n in range(start, valid.start) if n % valid.modulus in valid.rests}
        without, below = sorted(pattern - there), sorted(there - pattern)
        if (count := len(runs(without)) + len(runs(below))) < least:
            least, found = count, (valid._replace(start=start, below=tuple(below)), without)
    return found


def runs_told(numbers: Sequence[int]) -> str:
    """Numbers with runs shortened: 1, 4 … 9."""
    parts = [f"{a}" if a == b else f"{a}{', ' if b == a + 1 else ' … '}{b}" for a, b in runs(numbers)]
    return ", ".join(parts[:12]) + (f" … ({len(numbers)} sizes)" if len(parts) > 12 else "")


def nearest(asked: Sequence[int], valid: Sequence[Congruence]) -> tuple[Near, ...]:
    """The nearest valid sizes to those asked for: by padding, then by cropping; one entry where they are valid. Where
    neither does for all axes, each is padded, or else cropped.

    >>> c = Congruence(32, 32, (0,), ())
    >>> [n.valid for n in nearest((350, 512), (c, c))]
    [(352, 512), (320, 512)]
    >>> c = Congruence(None, 1, (), (32, 33, 34, 35))
    >>> [n.valid for n in nearest((10, 100), (c, c))]
    [(32, 35)]
    """
    found: list[Near] = []
    for choose in (Congruence.up, Congruence.down, _either):
        sizes = [size for c, n in zip(valid, asked, strict=True) if (size := choose(c, n)) is not None]
        if len(sizes) < len(asked) or (found and choose is _either):
            continue
        pad, crop = [], []
        for n, size in zip(asked, sizes, strict=True):
            change = size - n
            pad.append((change // 2, change - change // 2) if change > 0 else (0, 0))
            crop.append((-change // 2, -change - -change // 2) if change < 0 else (0, 0))
        near = Near(tuple(asked), tuple(sizes), tuple(pad), tuple(crop))
        if near not in found:
            found.append(near)
    return tuple(found)


def _either(valid: Congruence, n: int) -> int | None:
    larger = valid.up(n)
    return valid.down(n) if larger is None else larger


def near_told(asked: Sequence[int], found: Sequence[Near]) -> list[str]:
    name = "x".join(map(str, asked))
    if not found:
        return [f"No valid size is near {name}."]
    lines = []
    for near in found:
        size = "x".join(map(str, near.valid))
        if near.valid == tuple(asked):
            return [f"{name} is valid."]
        changes = []
        for verb, sides in (("pad", near.pad), ("crop", near.crop)):
            told_ = ", ".join(f"axis {i}: {a} + {b}" for i, (a, b) in enumerate(sides) if a or b)
            changes += [f"{verb} {told_}"] if told_ else []
        lines.append(f"{name} → {size}: {'; '.join(changes)} (before + after).")
    return lines
