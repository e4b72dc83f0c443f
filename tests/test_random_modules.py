"""The same module by PyTorch and by its ONNX files: equal in every named field, on random modules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from onnx_models import exported  # noqa: E402
from random_modules import FIELDS, drawn, told  # noqa: E402

from rfcalc import from_torch  # noqa: E402
from rfcalc.readers.onnx import from_onnx  # noqa: E402

BLOCK = 100


@pytest.fixture(scope="module")
def one_table() -> Iterator[None]:
    """The newer exporter makes its table of three thousand translations anew for every file, in half of its time."""
    module = pytest.importorskip("torch.onnx._internal.exporter._registration")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.ONNXRegistry, "from_torchlib", staticmethod(cache(module.ONNXRegistry.from_torchlib)))
        yield


def refused(error: Exception) -> bool:
    """Whether it is the exporter that cannot write the module."""
    return type(error).__module__.startswith("torch.onnx")


def differences(seed: int, dynamo: bool) -> tuple[str, ...] | None:
    """The fields in which the module and its file differ; None where the exporter refuses the module."""
    module, shape = drawn(seed)
    if dynamo and any(m.mode == "linear" for m in module.modules() if isinstance(m, torch.nn.Upsample)):
        return None  # this exporter writes it as arithmetic of gathered positions, some of them with a weight of zero
    try:
        source = exported(module, *shape, dynamo=dynamo)
    except Exception as error:  # of any kind that the exporter has
        if not refused(error):
            raise
        return None
    left, right = told(from_torch(module, shape)), told(from_onnx(source))
    return tuple(
        f"{name}: {left[name]} by PyTorch, {right[name]} by ONNX" for name in FIELDS if left[name] != right[name]
    )


def compared(seeds: range, dynamo: bool) -> None:
    found = {seed: differences(seed, dynamo) for seed in seeds}
    assert not {seed: told for seed, told in found.items() if told}
    assert sum(told is not None for told in found.values()) > 0.9 * len(seeds)


@pytest.mark.parametrize("start", range(0, 2000, BLOCK))
def test_by_the_older_exporter(start: int) -> None:
    compared(range(start, start + BLOCK), dynamo=False)


@pytest.mark.usefixtures("one_table")
@pytest.mark.parametrize("start", range(50_000, 50_060, 20))
def test_by_the_exporter_of_torch_export(start: int) -> None:
    pytest.importorskip("onnxscript")
    compared(range(start, start + 20), dynamo=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", range(2000, 22_000, 1000))
def test_many_by_the_older_exporter(start: int) -> None:
    compared(range(start, start + 1000), dynamo=False)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("one_table")
@pytest.mark.parametrize("start", range(51_000, 51_600, 60))
def test_many_by_the_exporter_of_torch_export(start: int) -> None:
    pytest.importorskip("onnxscript")
    compared(range(start, start + 60), dynamo=True)


@pytest.mark.parametrize(
    "seed",
    [
        7585,  # positions that a reshape merged into the channels, under a convolution that takes all of them
        8981,  # one channel and one position: permutations that come to nothing but for which of the two is which
        16621,  # an axis of one position goes in front of a recurrent layer, as a batch of one would
        51245,  # a group normalisation of one channel, whose factor is cast to the type of the map
    ],
)
def test_what_larger_runs_found(seed: int) -> None:
    assert differences(seed, dynamo=seed > 50_000) == ()


def test_the_modules_are_of_every_kind() -> None:
    """Random modules reach every field's values: exact and global, periodic ones, more than one size."""
    seen: dict[str, set[Any]] = {"status": set(), "size": set()}
    for seed in range(60):
        module, shape = drawn(seed)
        found = told(from_torch(module, shape))
        seen["status"].add(found["status"])
        seen["size"].add(found["size"])
    assert {"exact", "global", "periodic"} <= seen["status"]
    assert len(seen["size"]) > 20


def test_control_another_module_differs_in_every_field() -> None:
    """Each field tells some two modules apart, so that none is compared in vain."""
    found = [told(from_torch(*drawn(seed))) for seed in range(40)]
    for name in FIELDS:
        if name != "complete":
            assert any(a[name] != b[name] for a, b in pairwise(found)), name
