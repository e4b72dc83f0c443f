"""Every command and every function takes a text for the same network, or refuses it with the same message."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

import rfcalc
from rfcalc import cli
from rfcalc.core.errors import RfcalcError
from rfcalc.readers.target import named
from rfcalc.teaching.grading.designs import judge

FILES = {
    "net.toml": 'name = "net"\ninput = "3x8x8"\nlayers = ["conv3-4"]\n',
    "broken.toml": "layers = [\n",
    "net.txt": "conv3-4 > maxpool2\n",
    "net.cfg": "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\nsize=3\nstride=1\npad=1\n",
    "weights.pt": "no model",
    "model.py": "import rfcalc\n\n\ndef build():\n    return rfcalc.load('conv3-4')\n",
    "empty.onnx": "",
}
SORTS = {  # a text → its sort
    "vgg16": "zoo",
    " VGG-16 ": "zoo",
    "vitb16": "zoo",
    "conv3-64": "notation",
    "conv3-4\n> maxpool2": "notation",
    "input: 3x8x8; conv3-4": "notation",
    "a=conv3-4 > @a": "notation",
    "conv3-C": "notation",
    "conv3-C xN": "notation",
    "7,2,1,SAME;3,2,1,SAME": "text",
    "nn.Sequential(nn.Conv2d(3, 8, 3))": "text",
    "[64, 'M', 128]": "text",
    "net.toml": "spec",
    "broken.toml": "spec",
    "no.toml": "spec",
    "net.txt": "text",
    "net.cfg": "text",
    "no.onnx": "file",
    "empty.onnx": "file",
    "no.keras": "file",
    "weights.pt": "other",
    "model.py": "other",
    "model.py:build": "code",
    "model.py:nothing": "code",
    "no.py:Net": "code",
    "py:nowhere:Net": "code",
    "py:": "code",
}
REFUSED = (
    "",
    "  ",
    "vgg",
    "resnt50",
    "VGG 16",
    "foo.bar",
    "conv3-64 >",
    "x4",
    "/",
    "éé",
    "torchvision.models:vgg16",
    ">",
    "--",
)
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    **{
        one: lambda text, one=one: [one, text]  # type: ignore[misc]
        for one in (
            "table",
            "rf",
            "symbolic",
            "equivalents",
            "sizes",
            "grid",
            "tile",
            "stream",
            "draw",
            "counts",
            "export",
            "lock",
        )
    },
    "memory": lambda text: ["memory", text],
    "explain": lambda text: ["explain", text, "params"],
    "compare": lambda text: ["compare", text, text],
    "lint": lambda text: ["design", "--lint", text],
    "grade": lambda text: ["grade", "table.csv", "--network", text],
    "grade a design": lambda text: ["grade", text, "--require", "params < 1"],
}
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "load": rfcalc.load,
    "analyze": rfcalc.analyze,
    "receptive_field": rfcalc.receptive_field,
    "symbolic": rfcalc.symbolic,
    "explain": lambda text: rfcalc.explain(text, "params"),
    "compare": lambda text: rfcalc.compare(text, "conv3-4"),
    "sizes": rfcalc.sizes,
    "tile": rfcalc.tile,
    "grid": rfcalc.grid,
    "stream": rfcalc.stream,
    "memory": rfcalc.memory,
    "lint": rfcalc.lint,
    "draw": rfcalc.draw,
    "require": lambda text: rfcalc.require(text, "params < 1G"),
    "design": lambda text: judge(text, ()),
}
OPEN = ("symbolic", "explain", "compare", "equivalents")  # what takes names for sizes
DATA = ("grade a design", "design")  # what runs no code


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("table.csv").write_text("layer,params\nconv1,1\n")


def told(arguments: list[str]) -> str:
    """What a command says, of which only the refusal matters: empty where it takes the text."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = cli.run(arguments)
    text = errors.getvalue().strip()
    assert code in (0, 1, 2), arguments
    return text if text.startswith("error:") else out.getvalue().strip() if code == 2 else ""


def message(text: str) -> str:
    """What the one reading says of a text; empty where it takes it."""
    try:
        named(text).read(None)
    except RfcalcError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("text", SORTS)
def test_the_sort_of_a_text(text: str) -> None:
    assert named(text).sort == SORTS[text]


@pytest.mark.parametrize("text", [*SORTS, *REFUSED])
def test_every_command_says_the_same(text: str) -> None:
    asked = message(text)
    assert bool(asked) or text not in REFUSED
    sort = SORTS.get(text)
    for name, arguments in COMMANDS.items():
        if text == "--" or (name == "grade" and not asked) or (name == "grade a design" and text == "/"):
            continue  # the shell's own sign; the table is another network's; a folder of designs
        said = told(arguments(text))
        if name in OPEN and sort == "notation":
            assert "is not the index of a repetition" not in said, name
        elif name in DATA and sort in ("file", "other", "code"):
            assert "this is no design that can be graded" in said, name
        elif asked:
            assert all(line.strip() in said for line in asked.splitlines()), (name, said)
        else:
            assert "is not a layer" not in said, (name, said)
            assert "unknown network" not in said, (name, said)


@pytest.mark.parametrize("text", [*SORTS, *REFUSED])
def test_every_function_says_the_same(text: str) -> None:
    asked = message(text)
    for name, function in FUNCTIONS.items():
        try:
            function(text)
            said = ""
        except RfcalcError as error:
            said = str(error)
        if name in OPEN and SORTS.get(text) == "notation":
            continue
        if name in DATA and SORTS.get(text) in ("file", "other", "code"):
            assert "this is no design that can be graded" in said, name
        elif asked:
            assert said.endswith(asked), (name, said)


def test_nothing_is_run_to_find_out_what_a_text_is() -> None:
    Path("harm.py").write_text("from pathlib import Path\nPath('ran').touch()\n\n\ndef build():\n    return None\n")
    assert named("harm.py:build").sort == "code"
    with pytest.raises(RfcalcError):
        judge("harm.py:build", ())
    assert not Path("ran").exists()
    with pytest.raises(RfcalcError):
        named("harm.py:build").read(None)
    assert Path("ran").exists()
