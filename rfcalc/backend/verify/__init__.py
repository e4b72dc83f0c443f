"""A network's figures beside what PyTorch measures: `verify`, and `rfcalc verify`."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from rfcalc.backend.build import to_torch
from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.verify import saved
from rfcalc.backend.verify.finding import UNSEEN, Finding, Verification
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.readers.target import analyze
from rfcalc.readers.torch.untouched import untouched
from rfcalc.report import Report

CHECKS = ("shapes", "params", "macs", "receptive_field", "saved_bytes", "peak_bytes", "erf")
USUAL = ("shapes", "params", "macs", "receptive_field", "saved_bytes", "peak_bytes")
DRAWS = 12


def verify(
    network: Any,
    inputs: Any = None,
    what: Sequence[str] = USUAL,
    *,
    device: str = "auto",
    dtype: str = "float32",
    batch: int = 1,
    weights: str | Path | None = None,
    as_is: bool = False,
    draws: int = DRAWS,
    picture: str | Path | None = None,
    tick: Callable[[str], None] = lambda doing: None,
) -> Verification:
    """Build the network in PyTorch, run it, and put what it shows beside what rfcalc computed.

    >>> from rfcalc import Conv, MaxPool, Network, ReLU
    >>> from rfcalc.backend.verify import verify
    >>> found = verify(Network(Conv(4, 3, padding=1) >> ReLU() >> MaxPool(2), "1x8x8"))
    >>> found.passed, [(f.figure, f.measured) for f in found.of("macs")][-1]
    (True, ('multiply-adds that flop_counter sees', 2304))

    Shapes, parameters and multiply-adds are read off meta tensors and allocate nothing; receptive fields are measured
    on the positive linear stand-in; bytes kept for backward by one step of training.

    Args:
        network: a network, a report of one, or anything else that `rfcalc.analyze` takes (what `from_torch` gives).
        inputs: its input shapes, the network's own if left out.
        what: names of `CHECKS`.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype, batch: of the training step.
        weights: a checkpoint for the training step and `as_is`; random weights if left out.
        as_is: measure the plain network's gradient too, and explain each difference.
        draws: random initialisations for ``erf``.
        picture: a PNG file for ``erf``.
        tick: called with what is being done.

    Raises:
        UnknownName: no such check.
        RfcalcError: no such device; out of memory, with the predicted need; a checkpoint that does not fit.
        Unsupported: a kind without a PyTorch twin.
    """
    for name in what:
        if name not in CHECKS:
            raise UnknownName("check", name, list(CHECKS))
    if weights is not None and not as_is and "saved_bytes" not in what:
        raise RfcalcError("a checkpoint changes none of these checks", fix="add saved_bytes to --what, or --as-is")
    if picture is not None and not Path(picture).absolute().parent.is_dir():  # before the long work
        raise RfcalcError(f"there is no folder {Path(picture).parent}", where=str(picture), fix="make it first")
    notes: list[str] = []
    report = network if isinstance(network, Report) else analyze(network, inputs, batch=batch, dtype=dtype)
    place = chosen_device(device)
    source = report.network.source
    try:
        with nullcontext() if source is None else untouched(source.module):
            findings = tuple(_all(report, frozenset(what), place, weights, as_is, draws, picture, tick, notes))
    except (torch.OutOfMemoryError, MemoryError):
        totals = report.totals
        need = 4 * totals.params * report.itemsize + totals.saved_bytes + totals.peak_bytes
        raise RfcalcError(
            f"out of memory on {place}",
            why=f"a training step needs about {need / 1e9:.2f} GB (weights, gradients, Adam's state, what is kept)",
            fix="leave saved_bytes and erf out (--what shapes,params,macs,receptive_field), or take a smaller --input",
        ) from None
    except ValueError as error:
        if not saved.refused(error):
            raise
        raise RfcalcError(
            "PyTorch takes no statistics of a single value",
            why=str(error),
            fix="take a larger --batch, or an --input of which more is left there",
        ) from None
    inputs_told = {name: str(s) for name, s in zip(report.inputs, report.shapes, strict=False)}
    return Verification(
        report.network.name or report.target or "",
        inputs_told,
        told_device(place),
        versions(),
        report.batch,
        report.dtype,
        findings,
        tuple(notes),
    )


def _all(
    report: Report,
    what: frozenset[str],
    device: str,
    weights: str | Path | None,
    as_is: bool,
    draws: int,
    picture: str | Path | None,
    tick: Callable[[str], None],
    notes: list[str],
) -> Iterator[Finding]:
    network = report.network
    given = dict(zip(report.inputs, report.shapes, strict=False))

    def blank() -> NetworkModule:
        return to_torch(network, given, device="meta", in_place=True, dtype=saved.DTYPES[report.dtype])

    from rfcalc.backend.verify import counted, itself, units

    it = itself.subject(report)
    if it is not None:
        rebuilt = sorted(what & {"peak_bytes", "erf"}) + ["as_is"] * as_is
        notes.append(
            "measured on the module itself"
            + (f"; of the network as it was read, built anew: {', '.join(rebuilt)}" if rebuilt else "")
        )
        yield from itself.counted(report, it, what, tick)
        if "receptive_field" in what:
            yield from units.receptive(report, it, tick)
        if "saved_bytes" in what and weights is None:
            yield from itself.training(report, it, tick)
            what -= {"saved_bytes"}
        what -= {"shapes", "params", "macs", "receptive_field"}
        if report.dtype not in saved.DTYPES:
            return
        try:
            blank()
        except RfcalcError as error:
            for name in sorted(what):
                yield Finding(name, "", "of the network built anew", None, None, UNSEEN, "", str(error.what))
            return
    elif network.source is None:
        notes.append("measured on the network, built in PyTorch of what rfcalc read")

    if what & {"shapes", "params", "macs"}:
        graph = to_torch(network, given, device="meta")
        if what & {"shapes", "macs"}:
            yield from counted.shapes_and_macs(report, graph, what, tick)
        if "params" in what:
            yield from counted.parameters(report, graph)
    if "receptive_field" in what:
        from rfcalc.backend.verify import gradient

        yield from gradient.receptive(report, tick)
    real = to_torch(network, given, seed=0, in_place=True) if "saved_bytes" in what or as_is else None
    if real is not None and weights is not None:
        from rfcalc.backend.weights import load_weights

        notes += [f"{weights}: {line}" for line in str(load_weights(real, weights)).split("\n")]
    if as_is and real is not None:
        from rfcalc.backend.verify.as_is import explained

        yield from explained(report, real, device, tick)
    if "saved_bytes" in what and real is not None:
        yield from saved.training(report, real, device, tick)
    if "peak_bytes" in what:
        from rfcalc.backend.verify.live import peak

        yield from peak(report, blank, device, tick)
    if "erf" in what:
        from rfcalc.backend.verify import erf

        found = list(erf.masses(report, device, draws, tick))
        if picture is not None and found:
            erf.picture(found, Path(picture))
        yield from erf.findings(found, draws)


def chosen_device(name: str) -> str:
    """A device that is there.

    Raises:
        RfcalcError: it is not.
    """
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if name == "auto":
        return "cuda" if "cuda" in there else "mps" if "mps" in there else "cpu"
    if name not in there:
        raise RfcalcError(f"there is no device {name!r} here", fix=f"--device takes auto, {', '.join(there)}")
    return name


def told_device(device: str) -> str:
    """The device and its make."""
    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {platform.machine()}"


def versions() -> dict[str, str]:
    """Of what measured."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return found
