"""Valid sizes of published models, as they are written: every size against the framework on tensors without data.

Every model that is told must agree at every size; what is refused ("the valid sizes cannot be told") is counted, not
compared. `python tests/test_sizes_published.py torchvision|timm [FROM TO]` prints a line for each model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")

from model_lists import timm_model, timm_sample, torchvision_model, torchvision_names  # noqa: E402

FEW = ("resnet18", "densenet121", "shufflenet_v2_x1_0", "lraspp_mobilenet_v3_large")


def runs(module: Any, dims: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of the (first) output on a tensor without data; None where the module refuses it."""
    with torch.no_grad():
        try:
            y = module(torch.empty(1, *dims, device="meta"))
        except Exception:  # whatever is raised, the size is not taken
            return None
    while isinstance(y, (dict, list, tuple)):
        y = next(iter(y.values())) if isinstance(y, dict) else y[0]
    return tuple(y.shape)


def sizes_of(pick: Random, side: int) -> list[int]:
    """All small sizes, some around the model's own, and some up to 1,024."""
    return sorted({*range(1, 70), *range(side - 2, side + 35), *(pick.randrange(70, 1025) for _ in range(24))})


def compared(name: str, build: Callable[[], Any], shape: tuple[int, ...]) -> tuple[int, float]:
    """How many sizes agree on both axes, and the seconds that the answer took.

    Raises:
        AssertionError: one does not.
        RfcalcError: the sizes cannot be told.
    """
    module = build().eval()
    start = perf_counter()
    found = rfcalc.sizes(module, shape)
    seconds = perf_counter() - start
    formulas = [found.output(axis)[found.network.outputs[0]] for axis in range(2)]
    module = module.to("meta")
    pick, count = Random(name), 0
    for axis, solved in enumerate(found.axes):
        for n in sizes_of(pick, shape[axis + 1]):
            dims = [*shape]
            dims[axis + 1] = n
            y = runs(module, tuple(dims))
            assert (n in solved.valid) == (y is not None), (name, axis, n, y, str(solved.valid))
            if y is not None and formulas[axis] is not None and len(y) == 4:
                assert eval(formulas[axis], {}, {"n": n}) in y[1:], (name, axis, n, y, formulas[axis])
            count += 1
    return count, seconds


@pytest.mark.parametrize("name", FEW[:1])
def test_torchvision(name: str) -> None:
    assert compared(name, *torchvision_model(name))[0] > 200


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", torchvision_names())
def test_all_of_torchvision(name: str) -> None:
    try:
        assert compared(name, *torchvision_model(name))[0] > 200
    except RfcalcError as error:
        pytest.skip(str(error.why))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", timm_sample(1))
def test_a_model_of_every_timm_family(name: str) -> None:
    try:
        assert compared(name, *timm_model(name))[0] > 200
    except RfcalcError as error:
        pytest.skip(str(error.why))


def main() -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parent))
    which = sys.argv[1]
    names = torchvision_names() if which == "torchvision" else timm_sample(1)
    first, last = (int(n) for n in (sys.argv[2:4] or (0, len(names))))
    for name in names[first:last]:
        build, shape = torchvision_model(name) if which == "torchvision" else timm_model(name)
        try:
            count, seconds = compared(name, build, shape)
            told = f"{count} sizes agree, answered in {seconds:.1f} s"
        except AssertionError as error:
            told = f"DIFFERS {error}"
        except RfcalcError as error:
            told = f"not told: {error.where or ''} {str(error.why).splitlines()[0] if error.why else error.what}"
        except Exception as error:
            told = f"ERROR {type(error).__name__} {error}"
        print(f"{name}: {told}", flush=True)


if __name__ == "__main__":
    main()
