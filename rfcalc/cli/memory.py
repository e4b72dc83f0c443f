"""`rfcalc memory`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from rfcalc.cli.common import PICTURES, Batch, Dtype, Format, Inputs, NoNotes, Output, Target, emit, inputs
from rfcalc.cli.draw import form_of, shown
from rfcalc.core.errors import RfcalcError


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    batch: Batch = 1,
    dtype: Dtype = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, sgd-momentum, adam (the default), adamw, rmsprop, adagrad, lion, …")
    ] = None,
    amp: Annotated[str | None, typer.Option(help="Mixed precision: bf16 or fp16.")] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(help="Nodes, blocks or stages that are not trained; patterns with * and ?.")
    ] = None,
    infer: Annotated[bool, typer.Option("--infer", help="Only run the network, without gradients.")] = False,
    budget: Annotated[
        str | None, typer.Option(help="The memory that there is, 24GB, 320KiB: what is the largest batch?")
    ] = None,
    largest: Annotated[str, typer.Option(help="With --budget: the largest batch, or the largest input.")] = "batch",
    checkpoint: Annotated[
        bool, typer.Option("--checkpoint", help="What to compute again in backward, to stay within the budget.")
    ] = False,
    arena: Annotated[bool, typer.Option("--arena", help="With --infer: where each map lies in one buffer.")] = False,
    patch: Annotated[
        bool, typer.Option("--patch", help="With --infer: run the first part patch by patch for the least peak.")
    ] = False,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="With --patch: strips that keep the rows that are read again.")
    ] = False,
    fold_bn: Annotated[
        bool, typer.Option("--fold-bn", help="With --infer: batch normalisation folded into the layer before it.")
    ] = False,
    count_input: Annotated[
        bool, typer.Option("--count-input/--no-input", help="On a device: whether the input lies in the buffer.")
    ] = True,
    most_work: Annotated[
        float | None, typer.Option(help="What patches may cost: 1.1 is a tenth more multiply-adds than without.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda: how dropout keeps its masks.")] = "cpu",
    round_blocks: Annotated[
        bool, typer.Option("--round-blocks", help="Count every tensor as PyTorch's allocator rounds it: to 512 bytes.")
    ] = False,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="Every moment of a step; in HTML as a picture too (alone: -o memory.svg)."),
    ] = False,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> int:
    """What batch fits, where is the peak, how large must the buffer be? Weights, gradients, optimizer state, what
    backward needs, and what lives at the worst moment of a step.

    Example: rfcalc memory resnet50 --batch 32 --budget 24GB

    Exit code 1: nothing fits into the budget; the answer is shown all the same.
    """
    from rfcalc.readers.planning import memory

    form = form_of(format, output)
    infer = infer or arena or patch or fold_bn
    if infer and optimizer is not None:
        raise RfcalcError(
            "a network that only runs has no optimizer", fix="leave --optimizer out, or what only runs it"
        )
    found = memory(
        target, inputs(input), batch=batch, dtype=dtype, infer=infer,
        optimizer="adam" if optimizer is None else optimizer, amp=amp, freeze=freeze or (), device=device,
        budget=budget, checkpoint=checkpoint, arena=arena, patch=patch, fold_bn=fold_bn, count_input=count_input,
        most_work=most_work, largest=largest.lower(), round_blocks=round_blocks, rolling=rolling,
    )  # fmt: skip
    if timeline and found.device:
        raise RfcalcError("what a device stores is not told moment by moment", fix="leave --timeline out")
    if form in PICTURES or (timeline and form == "html" and not found.device):
        from rfcalc.drawing.drawing import Drawing
        from rfcalc.drawing.memory import timeline as moments

        if found.device:
            raise RfcalcError("what a device stores has no picture", fix="leave --arena, --patch and --fold-bn out")
        picture = moments(found.memory)
        if form in PICTURES:
            shown(Drawing(found.memory.report, "memory", made=picture), form, output)
            return 0 if found.found else 1
        document = found.document(timeline)
        document = replace(document, sections=(picture, *document.sections))
    else:
        document = found.document(timeline)
    emit(document, format, output, no_notes)
    return 0 if found.found else 1
