"""Terminals of any width, with all letters or with ASCII alone: no command writes a line that is longer."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.cells import cell_len

from rfcalc.cli import COMMANDS, run
from rfcalc.render import Look, render
from rfcalc.report.document import Document, Listing

WIDTHS = (40, 60, 80, 100, 120, 160, 200)
CALLS = {  # by command, a line each; what is written as source is copied, so that no terminal breaks it: export, lock
    "table": """vgg16
        resnet18 --columns costs
        googlenet --columns fields --depth 2
        resnet18 --columns training --sort params --top 5
        vgg16 --style stages
        alexnet --style cs231n
        resnet18 --style summary
        wavenet --no-notes""",
    "rf": """vgg16 pool5
        resnet18
        unet --at conv5_2
        conv3-8,maxpool2,conv3-8 --input 1x16000""",
    "draw": """alexnet
        resnet18 --metrics rf,stride,params,macs,bytes
        googlenet --style graph --depth 1
        alexnet --chart cost
        resnet18 --chart growth
        alexnet --chart memory
        unet --chart tiles --tile 300
        vgg16 resnet18 --chart compare""",
    "symbolic": """alexnet
        convK-C xN
        conv3-C xN --solve rf>=224 --for N""",
    "explain": """vgg16 pool5 rf
        vgg16 params
        vgg16 conv3_1 macs
        resnet18 layer4.0 rf
        alexnet memory""",
    "compare": """vgg16 resnet18
        vgg11 vgg13 vgg16""",
    "equivalents": "conv7-64",
    "counts": """alexnet
        resnet18""",
    "list": "vgg",
    "columns": "",
    "stream": """wavenet
        resnet18""",
    "sizes": """resnet18
        unet""",
    "tile": """resnet18
        unet""",
    "memory": """resnet18
        vgg16 --infer""",
    "grid": """vgg16
        unet""",
    "design": """rf>=9,params<4k
        --lint resnet18
        --like lenet5 params<50k""",
    "check": """vgg16
        alexnet""",
}
SOURCE = {"export", "lock", "exercise", "quiz", "grade", "verify"}


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, arguments: list[str], width: int, encoding: str = "utf-8") -> str:
    """What a terminal of this width gets."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    kept = io.BytesIO()
    with monkeypatch.context() as patched, Terminal(kept, encoding=encoding) as stream:
        patched.setattr(sys, "stdout", stream)
        assert run(arguments) in (0, 1), arguments
        stream.flush()
        return re.sub(r"\x1b\[[0-9;]*m", "", kept.getvalue().decode(encoding))


def longest(text: str) -> int:
    return max(cell_len(line) for line in text.splitlines())


def test_every_command_is_tried() -> None:
    assert set(CALLS) | SOURCE == set(COMMANDS)


@pytest.mark.parametrize("command", CALLS)
def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    for i, line in enumerate(CALLS[command].splitlines() or [""]):
        for encoding, widths in (("utf-8", WIDTHS if i == 0 else (40, 80)), ("ascii", (60,))):
            for width in widths:
                text = shown(monkeypatch, [command, *line.split()], width, encoding)
                assert longest(text) <= width, (command, line, width, encoding)
                assert "\N{REPLACEMENT CHARACTER}" not in text
                assert text.count("?") <= text.count("? "), "no letter is lost"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_layer_of_a_ladder_stands_in_one_line(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Columns that a narrow terminal has no room for are left out, and told; no row is broken."""
    text = shown(monkeypatch, ["draw", "resnet18"], width)
    row = next(line for line in text.splitlines() if line.startswith("conv1 "))
    assert "64x112x112" in row and "7" in row.split()
    told = " ".join(text.split()).partition("not shown in ")[2]
    heads = text.splitlines()[0].split()
    for head in ("notation", "params", "macs", "reads"):
        assert (head in heads) != (head in told), (head, width)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_help_fits_any_terminal(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """Its letters too: an arrow or an ellipsis on a terminal that has none was a traceback."""
    for command in COMMANDS:
        for width in (40, 80):
            assert longest(shown(monkeypatch, [command, "--help"], width, encoding)) <= width


def test_source_is_not_broken() -> None:
    listing = Document("", (Listing("x = 1  # " + "long " * 30, "python"), Listing("word " * 30)))
    lines = render(listing, "terminal", Look(40)).splitlines()
    assert len(lines[0]) > 150
    assert longest("\n".join(lines[1:])) <= 40
