"""Random chains of PyTorch code: read of the module, every unit against its gradient; read of its ONNX file, every unit
against the positions that move it in onnx's reference evaluator."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")

from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_models import exported  # noqa: E402
from pixels import check  # noqa: E402
from random_chains import STEPS, Chain  # noqa: E402

import rfcalc  # noqa: E402
from rfcalc.readers.onnx import from_onnx  # noqa: E402
from rfcalc.receptive.receptive_field import ReceptiveField  # noqa: E402
from rfcalc.receptive.region_walk import regions  # noqa: E402

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")
BLOCK = 250


def seen_by_gradient(seed: int) -> str | None:
    """The status of a chain whose units see what they are told to; None where nothing was drawn, where another axis of
    the input is taken for its channels, or where an operator took the batch away.

    Raises:
        AssertionError: a unit sees something else.
    """
    chain = Chain(seed).eval()
    report = rfcalc.analyze(rfcalc.from_torch(chain, chain.shape))
    with torch.no_grad():
        dims = tuple(chain(torch.rand(1, *chain.shape)).shape[1:])
    if not chain.steps or report.shapes[0].channel != 0 or report.rows[-1].output_shape != dims:
        return None
    try:
        return str(check(chain, "x".join(map(str, chain.shape))).status)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {[name for name, _ in chain.steps]}: {error}") from None


def moved(data: bytes, shape: tuple[int, ...], seed: int) -> Any:
    """Which values of the result are changed by each position, of those that were changed on one of three inputs:
    positions first; None where the evaluator cannot run the file, or the batch is gone."""
    run = ReferenceEvaluator(onnx.load_from_string(data))
    (name,) = run.input_names
    drawn = np.random.default_rng(seed)
    found: Any = False
    for _ in range(3):
        x = drawn.normal(size=(1, *shape)).astype(np.float32)
        rows = []
        try:
            before = np.asarray(run.run(None, {name: x})[0])
            for p in range(shape[1]):
                other = x.copy()
                other[0, :, p] += drawn.normal(size=shape[0]).astype(np.float32) * 5
                rows.append((np.asarray(run.run(None, {name: other})[0]) != before)[0])
        except Exception:  # of any kind that the evaluator has for what it does not know
            return None
        found = found | np.stack(rows)
    return found


def seen_in_the_file(seed: int) -> str | None:
    """As `seen_by_gradient`, of the chain's file; "unread" where an operator of it is not understood."""
    chain = Chain(seed).eval()
    try:
        data = exported(chain, *chain.shape)
    except Exception:  # of any kind that the exporter has for what it cannot write
        return None
    measured = moved(data, chain.shape, seed)
    if measured is None:
        return None
    read = from_onnx(data)
    report = rfcalc.analyze(read)
    position = report.network.position(report.network.outputs[0])
    y = report.shapes[position]
    field = ReceptiveField(report.fields[0][position], report.shapes[0], y)
    if not read.complete or field.status in ("unknown", "needs_input_size"):
        return "unread"
    if report.shapes[0].channel != 0 or measured.shape[1:] != y.dims:
        return None
    told, changed = regions(report, position), measured.any(1 + y.channel)
    for unit in product(*(range(y.dims[i]) for i in y.axes)):
        seen = {(int(p),) for p in changed[(slice(None), *unit)].nonzero()[0]}
        more = seen - set(told.unit(unit).pixels())
        assert not more, f"seed {seed}: {[name for name, _ in chain.steps]}: {unit} also sees {sorted(more)}"
    return str(field.status)


def counted(check_one: Any, seeds: range) -> dict[str | None, int]:
    found: dict[str | None, int] = {}
    for seed in seeds:
        status = check_one(seed)
        found[status] = found.get(status, 0) + 1
    return found


def test_units_see_what_their_gradients_say() -> None:
    found = counted(seen_by_gradient, range(80))
    assert {"exact", "global", "shift_variant", "bounded", "periodic"} <= set(found)
    assert found.get("unknown", 0) < 16


def test_units_see_what_moves_them_in_the_file() -> None:
    found = counted(seen_in_the_file, range(5000, 5040))
    assert {"exact", "global"} <= set(found)
    assert found.get("unread", 0) < 20


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", range(10_000, 12_000, BLOCK))
def test_many_units_see_what_their_gradients_say(start: int) -> None:
    counted(seen_by_gradient, range(start, start + BLOCK))


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", range(20_000, 20_500, BLOCK))
def test_many_units_see_what_moves_them_in_the_file(start: int) -> None:
    counted(seen_in_the_file, range(start, start + BLOCK))


def test_every_step_is_drawn() -> None:
    drawn = {name for seed in range(1000) for name, _ in Chain(seed).steps}
    assert set(STEPS) <= drawn


@pytest.mark.parametrize("how", ["gradient", "file"])
def test_control_a_wrong_slice_is_seen(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes slices one position too early."""
    from rfcalc.readers.builder import moves

    right = moves.Slice

    def wrong(axis: int, start: Any = None, stop: Any = None, step: int = 1) -> Any:
        if start and stop is None and step == 1:
            return right(axis, start - 1, -1, step)
        return right(axis, start, stop, step)

    check_one, first = (seen_by_gradient, 0) if how == "gradient" else (seen_in_the_file, 5000)
    monkeypatch.setattr(moves, "Slice", wrong)
    with pytest.raises(AssertionError, match="seed"):
        counted(check_one, range(first, first + 80))
