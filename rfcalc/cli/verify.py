"""`rfcalc verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import TARGET, inputs, terminal, write
from rfcalc.cli.complete import dtypes, networks


def command(
    target: Annotated[str, typer.Argument(help=TARGET, autocompletion=networks)],
    input: Annotated[  # noqa: A002
        list[str] | None,
        typer.Option("--input", "-i", help="Input shape, 3x224x224; name=3x224x224 for several."),
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(help="shapes,params,macs,receptive_field,saved_bytes,peak_bytes,erf; all but erf if left out."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Of the training step.", autocompletion=dtypes)] = "float32",
    batch: Annotated[int, typer.Option("--batch", "-b", help="Of the training step.")] = 1,
    weights: Annotated[Path | None, typer.Option(help="A checkpoint (.pt, .pth, .safetensors).")] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Measure the plain network's gradient too, and explain each difference.")
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw the measured effective field (PNG; with erf).")] = None,
    format: Annotated[str, typer.Option("--format", "-f", help="rich, plain or json.")] = "rich",  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> int:
    """Example: rfcalc verify vgg16 --what shapes,params,macs,receptive_field

    Exit code 1: a measurement disagrees. Needs PyTorch: pip install 'rfcalc[torch]'.
    """
    from importlib.util import find_spec

    from rfcalc import analyze
    from rfcalc.core.errors import MissingExtra, RfcalcError, UnknownName

    if format not in ("rich", "plain", "json"):
        raise UnknownName("format", format, ["rich", "plain", "json"])
    if batch < 1:
        raise RfcalcError(f"--batch {batch}: a batch has one item at least")
    if picture is not None and (what is None or "erf" not in what):
        raise RfcalcError("--picture draws the effective field", fix="add --what erf")
    if find_spec("torch") is None:
        raise MissingExtra("torch", "torch")
    if picture is not None and find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot")
    report = analyze(target, inputs(input), batch=batch, dtype=dtype)
    from rfcalc.backend.verify import USUAL, verify

    chosen = tuple(w.strip().replace("-", "_") for w in what.split(",") if w.strip()) if what else USUAL
    with _progress() as tick:
        found = verify(report, what=chosen, device=device, weights=weights, as_is=as_is, picture=picture, tick=tick)
    if format == "json":
        import json

        write(json.dumps(found.to_dict(), indent=1, ensure_ascii=False), output)
    else:
        from rfcalc.backend.verify.render import render

        width, color = terminal()
        write(render(found, color and format == "rich" and output is None, width), output)
    return 0 if found.passed else 1


class _progress:  # noqa: N801
    """What is being done, on one line of stderr that goes away; nothing where stderr is no terminal."""

    def __enter__(self) -> _progress:
        import sys

        self.shows = sys.stderr.isatty()
        return self

    def __call__(self, doing: str) -> None:
        if self.shows:
            import sys

            sys.stderr.write(f"\r\x1b[2K{doing} …"[:200])
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        self("")
        if self.shows:
            import sys

            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
