"""The command line as a user meets it: output, files, exit codes, messages; never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from rfcalc.cli import COMMANDS, run
from rfcalc.report import schemas


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_table(capsys) -> None:
    code, out, err = call(capsys, "table", "vgg16")
    assert (code, err) == (0, "")
    assert "138,357,544" in out
    assert "\x1b" not in out


def test_notation_on_the_lessons_toy(capsys) -> None:
    code, out, _ = call(capsys, "table", "conv3-1/2 p0 > maxpool2", "--input", "1x9x9", "--format", "json")
    layers = json.loads(out)["layers"]
    assert code == 0
    assert [layer["output_shape"] for layer in layers] == [[1, 4, 4], [1, 2, 2]]
    assert layers[-1]["receptive_field"]["size"] == [5, 5]
    assert layers[-1]["receptive_field"]["padding"] == [0, 0]


def test_list(capsys) -> None:
    code, out, _ = call(capsys, "list")
    assert code == 0
    assert "vgg16-c" in out
    assert "arXiv:1409.1556" in out
    code, out, _ = call(capsys, "list", "--format", "json")
    schema = schemas.schema("list")
    jsonschema.validate(json.loads(out), schema)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "vgg61"], ["unknown network 'vgg61'", "did you mean vgg", "rfcalc list"]),
        (["table", ""], ["empty"]),
        (["table", "conv3-64 > maxpol2"], ["line 1, column 12", "'maxpol2' is not a layer", "^^^^^^^", "maxpool"]),
        (["table", "conv3-64 >"], ["a layer was expected"]),
        (["table", "conv3-64 x1000000000"], ["1,000,000,000 repetitions"]),
        (["table", "conv3 > relu"], ["no channels", "conv3-64"]),
        (["table", "conv3-64 ceil"], ["ceil"]),
        (["table", "vgg16", "--input", "3x224"], ["2-D", "3 numbers", "3x224x224"]),
        (["table", "vgg16", "--input", "3x2y4"], ["'3x2y4' is not a shape", "3x224x224"]),
        (["table", "vgg16", "--input", "3x1x1"], ["pool1", "input", "fix"]),
        (["table", "vgg16", "--input", "3x256x256"], ["fc6", "25088", "32768"]),
        (["table", "vgg16", "--input", "x=3x224x224"], ["no input 'x'", "input"]),
        (["table", "vgg16", "--batch", "0"], ["batch of 0"]),
        (["table", "vgg16", "--batch", "two"], ["two"]),
        (["table", "vgg16", "--dtype", "float33"], ["float33", "float32"]),
        (["table", "vgg16", "--columns", "name,rff"], ["rff", "rf"]),
        (["table", "vgg16", "--columns", ","], ["no columns"]),
        (["table", "vgg16", "--at", "pool9"], ["pool9", "did you mean pool"]),
        (["table", "vgg16", "--format", "xml"], ["xml", "json"]),
        (["table", "vgg16", "--output", "/no/such/folder/x.txt"], ["/no/such/folder"]),
        (["table"], ["target"]),
        (["table", "vgg16", "--colour"], ["--colour"]),
        (["tabel", "vgg16"], ["tabel", "did you mean table"]),
        (["list", "--format", "xml"], ["xml"]),
    ],
)
def test_bad_input_is_one_message_and_exit_code_two(capsys, arguments, words) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert all(word.lower() in err.lower() for word in words), err


def test_output_is_written_whole_or_not_at_all(capsys, tmp_path: Path) -> None:
    target = tmp_path / "vgg16.json"
    assert call(capsys, "table", "vgg16", "--format", "json", "--output", str(target))[0] == 0
    assert json.loads(target.read_text(encoding="utf-8"))["network"]["name"] == "vgg16"
    before = target.read_text(encoding="utf-8")
    assert call(capsys, "table", "vgg16", "--columns", "nothing", "--output", str(target))[0] == 2
    assert target.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir()] == ["vgg16.json"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(capsys, command) -> None:
    code, out, _ = call(capsys, command, "--help")
    assert code == 0
    assert f"rfcalc {command}" in out.replace("\n", " ")


def test_version_and_help(capsys) -> None:
    assert call(capsys, "--version")[1].startswith("rfcalc 0.")
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rfcalc", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        check=False,
    )


def test_as_a_process() -> None:
    done = process("table", "vgg16")
    assert (done.returncode, done.stderr) == (0, "")
    assert "212" in done.stdout
    assert process("table", "nothing-like-it").returncode == 2


def test_a_closed_pipe_is_silent() -> None:
    script = f"{sys.executable} -m rfcalc table vgg16 --all | head -1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_an_ascii_terminal_gets_no_traceback() -> None:
    done = process("table", "vgg16", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


def test_the_collector_of_garbage_is_asked_less_often_in_a_process_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import gc

    from rfcalc.cli import SELDOM, main

    usual = gc.get_threshold()
    try:
        with pytest.raises(SystemExit):
            main(["--version"])
        assert gc.get_threshold() == SELDOM
    finally:
        gc.set_threshold(*usual)
