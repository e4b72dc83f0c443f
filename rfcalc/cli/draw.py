"""`rfcalc draw`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rfcalc.cli.common import (
    PICTURES,
    TARGET,
    Batch,
    Dtype,
    Inputs,
    NoNotes,
    Output,
    completion,
    emit,
    format_of,
    inputs,
    write,
)

if TYPE_CHECKING:
    from rfcalc.drawing.drawing import Drawing

STYLES = ("stages", "graph", "blocks", "unet")
CHARTS = ("growth", "cost", "compare", "memory", "tiles", "field")


def command(
    targets: Annotated[
        list[str], typer.Argument(help=f"{TARGET} Several for --chart compare.", autocompletion=completion("networks"))
    ],
    input: Inputs = None,  # noqa: A002
    batch: Batch = 1,
    dtype: Dtype = None,
    style: Annotated[
        str,
        typer.Option(
            help="stages: a ladder, a row a layer; graph: what reads what; blocks: maps to scale, as papers draw VGG;"
            " unet: the same, a row for each resolution.",
            autocompletion=lambda incomplete: [s for s in STYLES if s.startswith(incomplete)],
        ),
    ] = "stages",
    chart: Annotated[
        str | None,
        typer.Option(
            help="A chart instead: growth (receptive field over depth), cost (by stage), compare (bubbles),"
            " memory (what lives when), tiles (read, write, halo), field (what a unit sees).",
            autocompletion=lambda incomplete: [c for c in CHARTS if c.startswith(incomplete)],
        ),
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Blocks as one box from this level of names on; 1: stages.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Figures of a box, by name: params,macs,stride (rfcalc columns); for compare: across, upwards, area.",
            autocompletion=completion("columns_of"),
        ),
    ] = None,
    highlight: Annotated[
        str | None, typer.Option(help="A node: what its middle unit sees is marked on every map.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="For field and tiles: the node.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="For field: an input or an earlier node; the input if left out.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="For field: one unit by position, Y,X; the middle one.")] = None,
    image: Annotated[Path | None, typer.Option(help="For field: a PNG or JPEG under the region.")] = None,
    tile: Annotated[str | None, typer.Option(help="For tiles: the most positions that a tile reads: 256.")] = None,
    tiles: Annotated[str | None, typer.Option(help="For tiles: how many tiles each axis is cut into: 4x4.")] = None,
    infer: Annotated[
        bool, typer.Option("--infer", help="For memory: only run the network, without gradients.")
    ] = False,
    theme: Annotated[
        str,
        typer.Option(
            help="light, dark, or auto: as the reader's system is.",
            autocompletion=lambda incomplete: [t for t in ("auto", "light", "dark") if t.startswith(incomplete)],
        ),
    ] = "auto",
    font: Annotated[str, typer.Option(help="The font of the texts: 'Times New Roman'.")] = "",
    width: Annotated[str, typer.Option(help="On paper, with its unit: 84mm, 3.5in.")] = "",
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="svg, tikz, html, png, pdf, or text: terminal, json, …; if left out, as --output ends.",
        ),
    ] = None,
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """An SVG needs no other package, and is light or dark as its reader's system is. A repetition is drawn once.

    Example: rfcalc draw resnet50 -o resnet50.svg
    """
    from rfcalc.cli.rf import position
    from rfcalc.core.errors import RfcalcError, UnknownName
    from rfcalc.readers.drawing import draw

    if output is not None and not output.suffix and format is None and not output.exists():
        raise RfcalcError("the file has no ending, which says what it is", where=str(output), fix=f"-o {output}.svg")
    if theme not in ("auto", "light", "dark"):
        raise UnknownName("theme", theme, ["auto", "light", "dark"])
    form = form_of(format, output)
    pictures = [word for word in targets[1:] if word.lower().endswith((".svg", ".png", ".pdf"))]
    if pictures:
        raise RfcalcError(f"{pictures[0]} is no network", fix=f"write it behind -o: -o {pictures[0]}")
    if len(targets) > 1 and (chart or style) != "compare":
        raise RfcalcError(f"{len(targets)} networks are named", fix="name one, or add --chart compare")
    chosen: dict[str, Any] = {
        "depth": depth, "metrics": tuple(m.strip() for m in (metrics or "").split(",") if m.strip()),
        "highlight": highlight, "at": at, "source": source, "unit": position("--unit", unit), "image": image,
        "tile": tile, "tiles": tiles, "infer": infer, "others": targets[1:],
    }  # fmt: skip
    given = {
        name: value
        for name, value in chosen.items()
        if value is not None and value is not False and value not in ((), [])
    }
    drawing = draw(targets[0], inputs(input), style=chart or style, batch=batch, dtype=dtype, **given)
    shown(drawing, form, output, theme, font, width, no_notes)


def form_of(given: str | None, output: Path | None) -> str:
    """The format that is meant, pictures among them: the one given, else what the file ends in."""
    ending = output.suffix.lower()[1:] if output is not None else ""
    return format_of(ending if given is None and ending in PICTURES else given, output, PICTURES)


def shown(
    drawing: Drawing,
    form: str,
    output: Path | None,
    theme: str = "auto",
    font: str = "",
    width: str = "",
    no_notes: bool = False,
) -> None:
    """Write a picture: as a file of its own, else in a document.

    Raises:
        RfcalcError: a file that is not text, and no name for it.
    """
    from rfcalc.core.errors import RfcalcError
    from rfcalc.drawing.drawing import CONVERTED

    if form == "svg":
        write(drawing.svg(theme, font, width), output)
    elif form == "tikz":
        write(drawing.tikz(width), output)
    elif form in CONVERTED:
        if output is None:
            raise RfcalcError(f"a {form} file is not text", fix=f"name a file: -o picture.{form}")
        from rfcalc.core.atomic import draft

        made = drawing.converted(form, theme, font, width)
        with draft(output) as file:
            file.write_bytes(made)
    else:
        emit(drawing.document(), form, output, no_notes)
