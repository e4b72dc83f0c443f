"""`rfcalc tile`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rfcalc.cli.common import Batch, Dtype, Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs
from rfcalc.core.errors import RfcalcError, UnknownName


def command(
    target: Target,
    node: Annotated[str | None, typer.Argument(help="The node whose map is wanted, as with --at.")] = None,
    tile: Annotated[
        str | None, typer.Option(help="The most positions that a tile reads: 256, or 512x256 for each axis.")
    ] = None,
    tiles: Annotated[str | None, typer.Option(help="How many tiles each axis is cut into: 4x4.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="What the maps of one tile may take: 2GB. The cheapest plan.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="The node whose map is wanted; the outputs if left out.")] = None,
    axis: Annotated[int | None, typer.Option(help="Show this spatial axis only, 0 first.")] = None,
    tool: Annotated[
        str | None,
        typer.Option("--as", help="In the words of bioimageio, monai, careamics, real-esrgan, otbtf, nnunet."),
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(
            "--check-overlap",
            help="Judge an overlap, both sides together (with --as: in that tool's own words); 1 unless it is exact.",
        ),
    ] = None,
    passes: Annotated[
        bool, typer.Option("--passes", help="Gather statistics (normalisation, squeeze-excite) in passes of their own.")
    ] = False,
    run: Annotated[
        str | None, typer.Option("--run", help="Run this code (model.py:net) in tiles and whole, in whole numbers.")
    ] = None,
    input: Inputs = None,  # noqa: A002
    batch: Batch = 1,
    dtype: Dtype = None,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> int:
    """The exact halo (overlap) of tiles for images that do not fit into memory; their reads, writes and crops.

    Example: rfcalc tile unet-padded --input 1x4096x4096 --tile 1024
    """
    from rfcalc.cli.rf import one_node
    from rfcalc.plan.judging import judge
    from rfcalc.plan.tile import TooSmall
    from rfcalc.plan.tools import TOOLS
    from rfcalc.readers import planning

    format_of(format, output)
    if tool is not None and tool.lower() not in TOOLS:
        raise UnknownName("tool", tool, TOOLS)
    given: dict[str, Any] = {"at": one_node(node, at), "batch": batch, "dtype": dtype}
    cut: dict[str, Any] = {"tile": tile, "tiles": tiles, "memory": memory}
    if passes:
        if overlap is not None or tool is not None:
            raise RfcalcError(
                "a plan of several passes cannot be written as another tool's settings",
                fix="leave out --check-overlap and --as",
            )
        in_turn = planning.tile(target, inputs(input), passes=True, **cut, **given)
        _checked(axis, in_turn)
        checked = None if run is None or in_turn.barriers else _verified(in_turn, run)
        emit(in_turn.document(verified=checked), format, output, no_notes)
        return 1 if in_turn.barriers or (checked is not None and not checked["passed"]) else 0
    told: tuple[str, ...] = ()
    try:
        plan = planning.tile(target, inputs(input), **cut, **given)
    except TooSmall as error:
        if overlap is None:
            raise
        plan, told = planning.tile(target, inputs(input), **given), (f"No exact tile is so small: {error.what}.",)
    _checked(axis, plan)
    plan.shown = axis
    if plan.barriers:
        emit(plan.document(), format, output, no_notes)
        return 1
    size, named = planning.lengths("--tile", tile), tool and tool.lower()
    judged = None if overlap is None else judge(plan, overlap, size or None, told, named)
    verified = None if run is None else _verified(plan, run)
    emit(plan.document(tool=named, judged=judged, verified=verified), format, output, no_notes)
    return 0 if (judged is None or judged.exact) and (verified is None or verified["passed"]) else 1


def _checked(axis: int | None, plan: Any) -> None:
    """Refuse an axis that there is not."""
    if axis is not None and not 0 <= axis < plan.rank:
        raise RfcalcError(
            f"there is no axis {axis}",
            why=f"the input {max(plan.inputs, key=lambda x: x.rank)} has the axes 0 … {plan.rank - 1}",
        )


def _verified(plan: Any, run: str) -> dict[str, Any]:
    from rfcalc.backend.tiling import verified_run

    return verified_run(plan, run)
