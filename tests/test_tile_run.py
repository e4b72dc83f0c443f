"""`plan.run`: functions, arrays and `map`s that are not as they should be are refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.plan.run import leading

numpy = pytest.importorskip("numpy")

PLAN = rfcalc.tile("conv3-2", "1x35x35", tiles="3x3")  # tiles of 12, 13 and 14 positions on each axis
X = numpy.arange(35.0 * 35).reshape(1, 35, 35)


def network(t: Any) -> Any:
    p = numpy.pad(t, ((0, 0), (1, 1), (1, 1)))
    s = sum(p[:, i : i + t.shape[1], j : j + t.shape[2]] for i in range(3) for j in range(3))
    return numpy.concatenate([s, s + 1])


def out(kind: str = "float64") -> Any:
    return numpy.full((2, 35, 35), 7, kind)


def wrong_at(size: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The network, whose results are changed for tiles that have this size on an axis."""
    return lambda t: change(network(t)) if size in t.shape[1:] else network(t)


CHANGES = {
    "channels": (lambda y: y[:1], "(1, …, …) float64"),
    "more channels": (lambda y: numpy.concatenate([y, y]), "(4, …, …) float64"),
    "rank": (lambda y: y[None], "(1, 2, …, …) float64"),
    "no channels": (lambda y: y[0], "(…, …) float64"),
    "type": (lambda y: y.astype("float32"), "(2, …, …) float32"),
    "whole numbers": (lambda y: y.astype("int64"), "(2, …, …) int64"),
    "size": (lambda y: y[:, 1:], "the function gives conv1 of"),
    "nothing": (lambda y: None, "the function gives no array for conv1"),
    "lists": (lambda y: y.tolist(), "the function gives a list, the plan has one output"),
    "several": (lambda y: (y, y), "the function gives 2 arrays, the plan has one output"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [12, 13, 14])
def test_a_function_that_goes_wrong_at_some_size(change: str, size: int) -> None:
    assert {t.read[0][1] - t.read[0][0] for t in PLAN.tiles} == {12, 13, 14} and len(leading(PLAN)) == 3
    made, told = CHANGES[change]
    for target in (out(), None):
        with pytest.raises(RfcalcError) as caught:
            PLAN.run(wrong_at(size, made), X, target)
        assert told in str(caught.value) or "out has other channels" in str(caught.value)
        assert target is None or ((target == 7).all() and "nothing is written" in str(caught.value))


def test_a_function_that_goes_wrong_later_says_what_is_written() -> None:
    calls: list[int] = []

    def function(t: Any) -> Any:
        calls.append(1)
        return network(t)[: 2 if len(calls) < 6 else 1]

    target = out()
    with pytest.raises(RfcalcError, match="for another tile it gave") as caught:
        PLAN.run(function, X, target)
    assert "5 of 9 tiles are written in out" in str(caught.value)
    right = target == network(X)
    assert 0 < right.sum() < right.size and (target[~right] == 7).all()


def test_a_run_that_is_interrupted_says_where() -> None:
    def stop(done: int, of: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        PLAN.run(network, X, out(), progress=stop)
    assert caught.value.__notes__ == ["5 of 9 tiles are written in out."]
    with pytest.raises(ZeroDivisionError) as failed:
        PLAN.run(wrong_at(13, lambda y: y / 0 if 1 // 0 else y), X)
    assert "The function was given the tile that reads [" in failed.value.__notes__[0]


@pytest.mark.parametrize("kind", ["float32", "float16", "int64", "uint8", "bool", "S8"])
def test_types_that_cannot_hold_the_results(kind: str) -> None:
    target = out(kind)
    before = target.copy()
    with pytest.raises(RfcalcError, match=r"out of conv1 (holds whole numbers|cannot hold)"):
        PLAN.run(network, X, target)
    assert (target == before).all()
    with pytest.raises(RfcalcError, match="cannot hold"):
        PLAN.run(lambda t: network(t).astype("int64"), X, out("uint8"))


@pytest.mark.parametrize(("given", "kind"), [("float32", "float64"), ("uint8", "int64"), ("float64", "complex128")])
def test_types_that_hold_the_results(given: str, kind: str) -> None:
    target = out(kind)
    assert (PLAN.run(lambda t: network(t).astype(given), X, target) == network(X).astype(given)).all()


def test_arrays_that_cannot_be_used(tmp_path: Path) -> None:
    closed = out()
    closed.setflags(write=False)
    with pytest.raises(RfcalcError, match="does not take what the function gives"):
        PLAN.run(network, X, closed)
    for source in (X.tolist(), None):
        with pytest.raises(RfcalcError, match="source of input is no array"):
            PLAN.run(network, source)
    with pytest.raises(RfcalcError, match="out gives a list"):
        PLAN.run(network, X, out().tolist())
    with pytest.raises(RfcalcError, match="source of input has the shape") as caught:
        PLAN.run(network, numpy.moveaxis(X, 0, -1))
    assert "move the last axis to the front" in str(caught.value)
    both = X.copy()
    with pytest.raises(RfcalcError, match="share memory"):
        PLAN.run(lambda t: network(t)[:1], both, both[:])
    assert (both == X).all()
    stored = numpy.memmap(tmp_path / "image", "float64", "w+", shape=X.shape)
    again = numpy.memmap(tmp_path / "image", "float64", "r+", shape=X.shape)
    with pytest.raises(RfcalcError, match="share memory"):
        PLAN.run(lambda t: network(t)[:1], stored, again)


def test_tensors_and_zarr_arrays() -> None:
    torch, zarr = pytest.importorskip("torch"), pytest.importorskip("zarr")
    x = torch.from_numpy(X)
    with pytest.raises(RfcalcError, match="share memory"):
        PLAN.run(lambda t: t, x, x.view(1, 35, 35))
    with pytest.raises(RfcalcError, match="cannot hold"):
        PLAN.run(lambda t: torch.cat([t, t]), x, torch.zeros(2, 35, 35, dtype=torch.half))
    with pytest.raises(RfcalcError, match="can't assign"):
        PLAN.run(lambda t: network(t.numpy()), x, torch.zeros(2, 35, 35).double())
    stored, target = zarr.array(X, chunks=(1, 7, 5)), zarr.full((2, 35, 35), fill_value=7.0, chunks=(1, 9, 11))
    assert (PLAN.run(network, stored, target)[:] == network(X)).all()
    with pytest.raises(RfcalcError, match="share memory"):
        PLAN.run(lambda t: t, stored, stored)


def test_a_batch_in_front() -> None:
    images = numpy.stack([X, X + 1, X * 2])
    found = PLAN.run(lambda t: numpy.stack([network(a) for a in t]), images)
    assert found.shape == (3, 2, 35, 35) and all((f == network(a)).all() for f, a in zip(found, images, strict=True))


MAPS: dict[str, tuple[Any, str]] = {
    "fewer": (lambda work, jobs: [work(j) for j in jobs[:2]], "map gives 2 results"),
    "fewer, lazily": (lambda work, jobs: (work(j) for j in jobs[:8]), "map gives 8 results"),
    "none": (lambda work, jobs: None, "map gives NoneType"),
    "twice": (lambda work, jobs: (work(j) for j in jobs[:1] * 2), "map gives tile 0 twice"),
    "other results": (lambda work, jobs: [object() for _ in jobs], "map gives object in place of a result"),
    "no function": (3, "map is no function"),
}


@pytest.mark.parametrize("name", MAPS)
def test_maps_that_do_not_map(name: str) -> None:
    given, told = MAPS[name]
    with pytest.raises(RfcalcError, match=told):
        PLAN.run(network, X, map=given)
    with pytest.raises(RfcalcError, match="function is no function"):
        PLAN.run(None, X)


def test_maps_in_any_order() -> None:
    def lazily(work: Any, jobs: Any) -> Any:
        return (work(j) for j in reversed(jobs))

    with ThreadPoolExecutor(2) as pool:
        for given in (lazily, pool.map, lambda work, jobs: [work(j) for j in jobs]):
            assert (PLAN.run(network, X, map=given) == network(X)).all()


def test_passes_need_every_tile_once() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.GroupNorm(2, 4)).double().eval()
    plan = rfcalc.tile(net, "1x32x32", tiles="2x2", passes=True)
    for given, told in (
        (lambda work, jobs: (work(j) for j in jobs[:3]), "map gives 3 results"),
        MAPS["twice"],
    ):
        with pytest.raises(RfcalcError, match=told):
            plan.run(rfcalc.in_passes(net), torch.rand(1, 1, 32, 32).double(), map=given)


def test_results_keep_no_graph_of_gradients() -> None:
    """Or every tile would stay in memory."""
    torch = pytest.importorskip("torch")
    net = torch.nn.Conv2d(1, 2, 3, padding=1)
    plan = rfcalc.tile(net, "1x32x32", tiles="2x2")
    x, out = torch.rand(1, 32, 32), torch.zeros(2, 32, 32)
    made = plan.run(net, x)
    assert plan.run(net, x, out) is out and net(x).requires_grad
    assert not made.requires_grad and not out.requires_grad and torch.allclose(made, net(x)) and torch.equal(made, out)
