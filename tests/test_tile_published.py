"""Published networks in exact tiles: tiled equals whole in whole numbers, and one align less differs.

The packages are no dependencies; those that are installed are compared. `python tests/test_tile_published.py [WORD …]`
prints a line for each network whose name has one of the words.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import process_time
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
from tile_networks import CASES, Case  # noqa: E402

SAMPLE = (
    "HiFi-GAN V3",
    "DeepLab v2, ASPP-L",
    "ESPCN x3",
    "FSRCNN x3",
    "DnCNN, 17 layers",
    "zoo unet-padded",
    "torchvision squeezenet1_1 up to its pool",
    "timm resnet10t up to its pool",
)


def shaped(case: Case, size: int) -> str:
    return "x".join(map(str, (case.channels, size, *case.beside)))


def planned(case: Case, module: Any) -> Any:
    """A plan of two tiles, neither of which reads the whole image."""
    first = _free(rfcalc.tile(module, shaped(case, 512))).axes[0]
    size = 2 * (max(*first.halo, 0) // first.align + 2) * first.align
    return _free(rfcalc.tile(module, shaped(case, size), tiles="x".join(["2", *["1"] * len(case.beside)])))


def _free(plan: Any) -> Any:
    if plan.barriers:
        raise RfcalcError("there are no tiles", where=plan.barriers[0].node, why=plan.barriers[0].why)
    return plan


def compared(name: str) -> tuple[Any, dict[str, Any]]:
    """The plan, and what the run in whole numbers says; with what one align less did before and after.

    Raises:
        RfcalcError: there are no tiles.
    """
    from rfcalc.backend.tiling import verified

    torch.manual_seed(0)
    module = CASES[name].build().eval()
    plan = planned(CASES[name], module)
    return plan, verified(plan, module)


def holds(plan: Any, found: dict[str, Any]) -> bool:
    """Whether nothing differs, and one align less on either side does, wherever a tile has a halo there."""
    a = plan.axes[0]
    sides = {"before on axis 0": a.halo[0] > 0, "after on axis 0": a.halo[1] > 0}
    least = all(found["less"].get(side) is True for side, needed in sides.items() if needed)
    return bool(plan.count > 1 and found["differing"] == 0 and found["passed"] and least)


@pytest.mark.parametrize("name", SAMPLE)
def test_published_networks(name: str) -> None:
    torch.set_num_threads(1)
    plan, found = compared(name)
    assert holds(plan, found), found


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in CASES if name not in SAMPLE])
def test_all_published_networks(name: str) -> None:
    torch.set_num_threads(1)
    try:
        plan, found = compared(name)
    except ImportError as error:
        pytest.skip(f"not installed: {error}")
    assert holds(plan, found), found


def main() -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parent))
    passed = 0
    for name in CASES:
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        begun = process_time()
        try:
            plan, found = compared(name)
            a, ok = plan.axes[0], holds(plan, found)
            passed += ok
            told = f"need {a.need[0]} + {a.need[1]}, halo {a.halo[0]} + {a.halo[1]}, align {a.align}: "
            told += f"{found['differing']} of {found['values']:,} values differ, one align less "
            told += "differs" if ok else f"FAILED {found['less']}"
        except RfcalcError as error:
            told = f"NO TILES {error.where or ''} {error.what} {error.why}"
        except Exception as error:
            told = f"ERROR {type(error).__name__}: {str(error)[:160]}"
        print(f"{name}: {told} ({process_time() - begun:.1f} s)", flush=True)
    print(f"{passed} networks")


if __name__ == "__main__":
    main()
