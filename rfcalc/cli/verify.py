"""`rfcalc verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import Dtype, Format, Inputs, Output, Target, emit, format_of, inputs
from rfcalc.core.progress import at


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    what: Annotated[
        str | None,
        typer.Option(help="shapes,params,macs,receptive_field,saved_bytes,peak_bytes,erf; all but erf if left out."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Dtype = None,
    batch: Annotated[int, typer.Option("--batch", "-b", help="Of the training step.")] = 1,
    weights: Annotated[Path | None, typer.Option(help="A checkpoint (.pt, .pth, .safetensors).")] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Measure the plain network's gradient too, and explain each difference.")
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw the measured effective field (PNG; with erf).")] = None,
    format: Format = None,  # noqa: A002
    output: Output = None,
) -> int:
    """Example: rfcalc verify vgg16 --what shapes,params,macs,receptive_field

    Exit code 1: a measurement disagrees. Needs PyTorch: pip install 'rfcalc[torch]'.
    """
    from importlib.util import find_spec

    from rfcalc import analyze
    from rfcalc.core.errors import MissingExtra, RfcalcError

    format_of(format, output)
    if batch < 1:
        raise RfcalcError(f"--batch {batch}: a batch has at least one item")
    if picture is not None and (what is None or "erf" not in what):
        raise RfcalcError("--picture draws the effective field", fix="add --what erf")
    if find_spec("torch") is None:
        raise MissingExtra("torch", "torch")
    if picture is not None and find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot")
    report = analyze(target, inputs(input), batch=batch, dtype=dtype)
    from rfcalc.backend.verify import USUAL, verify

    chosen = tuple(w.strip().replace("-", "_") for w in what.split(",") if w.strip()) if what else USUAL
    found = verify(report, what=chosen, device=device, weights=weights, as_is=as_is, picture=picture, tick=at)
    from rfcalc.backend.verify.document import document

    emit(document(found), format, output)
    return 0 if found.passed else 1
