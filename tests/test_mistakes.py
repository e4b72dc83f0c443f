"""Natural mistakes on the command line: what is forgiven works, what is not says where, what, and how to write it."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rfcalc.cli import COMMANDS, Commands, run
from rfcalc.cli.forgiving import ALIASES, OPTIONS, TOLD, Understood
from rfcalc.core.errors import RfcalcError

TOY = "conv3-8 > relu > maxpool2"


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "same_as"),
    [
        (["vgg16"], ["table", "vgg16"]),
        (["conv3-8", "relu", "maxpool2"], ["table", "conv3-8 relu maxpool2"]),
        ([TOY], ["table", TOY]),
        (["table", "conv3-8", "relu", "maxpool2"], ["table", "conv3-8 relu maxpool2"]),
        (["table", "conv3-8", "relu", "x2", "--input", "3x8x8"], ["table", "conv3-8 relu x2", "--input", "3x8x8"]),
        (["table", "conv3-8, relu, maxpool2"], ["table", "conv3-8 relu maxpool2"]),
        (["table", "conv3-8 -> relu -> maxpool2"], ["table", "conv3-8 > relu > maxpool2"]),
        (["table", "conv3-8->relu->maxpool2"], ["table", "conv3-8 > relu > maxpool2"]),
        (["table", "conv3-8,relu,maxpool2"], ["table", "conv3-8 relu maxpool2"]),
        (["rf", "vgg16", "pool5"], ["rf", "vgg16", "--at", "pool5"]),
        (["rf", "--input", "3x64x64", "resnet18", "layer2.1"], ["rf", "resnet18", "--at", "layer2.1", "-i", "3x64x64"]),
        (["table", "vgg16", "pool5"], ["table", "vgg16", "--at", "pool5"]),
        (["rf", "conv3-8", "relu", "relu1"], ["rf", "conv3-8 relu", "--at", "relu1"]),
        (["explain", "conv3-8", "maxpool2", "rf"], ["explain", "conv3-8 maxpool2", "rf"]),
        (["table", "vgg16", "--json"], ["table", "vgg16", "--format", "json"]),
        (["table", "vgg16", "--csv"], ["table", "vgg16", "--format", "csv"]),
        (["table", "vgg16", "--markdown"], ["table", "vgg16", "--format", "markdown"]),
        (["rf", "vgg16", "--json"], ["rf", "vgg16", "--format", "json"]),
        (["table", "vgg16", "--dtype", "fp16"], ["table", "vgg16", "--dtype", "float16"]),
        (["table", "vgg16", "--dtype", "half"], ["table", "vgg16", "--dtype", "float16"]),
        (["table", "vgg16", "--dtype", "bf16"], ["table", "vgg16", "--dtype", "bfloat16"]),
        (["table", "vgg16", "--dtype", "torch.float16"], ["table", "vgg16", "--dtype", "float16"]),
        (["table", "vgg16", "--dtype", "Double"], ["table", "vgg16", "--dtype", "float64"]),
        (["table", "vgg16", "--input", "(3, 224, 224)"], ["table", "vgg16", "--input", "3x224x224"]),
        (["table", "vgg16", "--input", "[3,224,224]"], ["table", "vgg16", "--input", "3x224x224"]),
        (["table", "conv3-8 => relu => maxpool2"], ["table", "conv3-8 > relu > maxpool2"]),
        (["table", "vgg16", "--input-size", "3x224x224"], ["table", "vgg16", "--input", "3x224x224"]),
        (["table", "vgg16", "--input_shape=3x224x224"], ["table", "vgg16", "--input", "3x224x224"]),
        (["table", "vgg16", "--batch_size", "8"], ["table", "vgg16", "--batch", "8"]),
        (["table", "vgg16", "-b", "8"], ["table", "vgg16", "--batch", "8"]),
        (["table", "vgg16", "--Batch", "8"], ["table", "vgg16", "--batch", "8"]),
        (["table", "vgg16", "--fp16"], ["table", "vgg16", "--dtype", "float16"]),
        (["table", "vgg16", "--cols", "name,rf"], ["table", "vgg16", "--columns", "name,rf"]),
        (["table", "vgg16", "--layer", "pool5"], ["table", "vgg16", "--at", "pool5"]),
        (["table", "resnet18", "--max-depth", "1"], ["table", "resnet18", "--depth", "1"]),
        (["rf", "vgg16", "--node", "pool5"], ["rf", "vgg16", "--at", "pool5"]),
        (
            ["memory", "alexnet", "--vram", "8GB", "--optim", "adam"],
            ["memory", "alexnet", "--budget", "8GB", "--optimizer", "adam"],
        ),
        (["memory", "alexnet", "--inference"], ["memory", "alexnet", "--infer"]),
        (["memory", "alexnet", "--budget", "24", "GB"], ["memory", "alexnet", "--budget", "24GB"]),
        (["memory", "alexnet", "--batchsize", "2"], ["memory", "alexnet", "--batch", "2"]),
        (["table", "vgg16", "--nonotes"], ["table", "vgg16", "--no-notes"]),
        (["table", "vgg16", "-input", "3x224x224"], ["table", "vgg16", "--input", "3x224x224"]),
        (["table", "vgg16", "-f=json"], ["table", "vgg16", "--format", "json"]),
        (["table", "vgg16", "--sortby", "params"], ["table", "vgg16", "--sort", "params"]),
        (["table", "vgg16", "--top-k", "3"], ["table", "vgg16", "--top", "3"]),
        (["stream", "wavenet", "--sample-rate", "16000"], ["stream", "wavenet", "--rate", "16000"]),
        (["tile", "unet", "--tile-size", "256"], ["tile", "unet", "--tile", "256"]),
        (["sizes", "unet", "--near", "512,512"], ["sizes", "unet", "--near", "512x512"]),
        (["sizes", "unet", "512x512"], ["sizes", "unet", "--near", "512x512"]),
        (["rf", "vgg16", "pool5", "--unit", "(3, 3)"], ["rf", "vgg16", "pool5", "--unit", "3,3"]),
        (["export", "vgg16", "--format", "torch"], ["export", "vgg16", "--to", "torch"]),
        (["design", "rf>=9", "params<4k"], ["design", "rf>=9, params<4k"]),
        (["table", "“conv3–8, relu”"], ["table", "conv3-8, relu"]),
        (["table", "'conv3-8 relu'"], ["table", "conv3-8 relu"]),
        (["table", "`conv3-8`"], ["table", "conv3-8"]),
        (["table", "conv3-8; relu; maxpool2"], ["table", "conv3-8, relu, maxpool2"]),
        (["table", "conv3-8*3"], ["table", "conv3-8 x3"]),
        (["table", "3*conv3-8"], ["table", "conv3-8 x3"]),
        (["rf", "conv3-8 * 3, maxpool2"], ["rf", "conv3-8 x3, maxpool2"]),
        (["table", "resnet18", "3x96x96"], ["table", "resnet18", "--input", "3x96x96"]),
        (["compare", "vgg11,vgg13"], ["compare", "vgg11", "vgg13"]),
        (["compare", "vgg11", "vs", "vgg13"], ["compare", "vgg11", "vgg13"]),
        (["compare", "vgg11", "and", "vgg13"], ["compare", "vgg11", "vgg13"]),
        (["compare", "vgg11,", "vgg13"], ["compare", "vgg11", "vgg13"]),
        (["-V"], ["--version"]),
        (["help"], ["--help"]),
        (["help", "table"], ["table", "--help"]),
    ],
)
def test_what_is_meant_is_done(capsys, arguments: list[str], same_as: list[str]) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, err) == (0, "")
    assert out
    assert out.replace("conv3-8 relu x2", "") == call(capsys, *same_as)[1].replace("conv3-8 relu x2", "")


SHAPES = [
    ("224x224x3", "channels first", "3x224x224"),
    ("96x128x3", "channels first", "3x96x128"),
    ("1x3x224x224", "without the batch", "3x224x224"),
    ("8x3x96x96", "without the batch", "3x96x96"),
    ("1x224x224x3", "channels first, without the batch", "3x224x224"),
    ("1,3,224,224", "without the batch", "3x224x224"),
    ("224", "one number", "3x224x224"),
    ("3x224", "3 numbers, channels first", "3x224x224"),
    ("224,224", "3 numbers, channels first", "3x224x224"),
    ("224x320", "3 numbers, channels first", "3x224x320"),
]


@pytest.mark.parametrize(("typed", "why", "meant"), SHAPES)
@pytest.mark.parametrize("network", ["vgg16", "resnet18", "mobilenet-v2"])
def test_shapes_as_people_type_them(capsys, network: str, typed: str, why: str, meant: str) -> None:
    code, out, err = call(capsys, "table", network, "--input", typed)
    assert (code, out) == (2, "")
    assert why in err
    assert f"did you mean {meant}?" in err
    assert "conv1" not in err, "the shape is checked before any layer"


def test_the_corrected_shape_is_accepted(capsys) -> None:
    """The fix is never the input that just failed."""
    for typed, _, meant in SHAPES:
        assert typed.replace(",", "x") != meant
        assert call(capsys, "table", "resnet18", "--input", meant)[0] == 0


def test_networks_of_other_ranks_have_shapes_of_other_ranks(capsys) -> None:
    assert "did you mean 256x16000?" in call(capsys, "table", "wavenet", "--input", "16000")[2]
    assert "did you mean 1x572x572?" in call(capsys, "table", "unet", "--input", "572x572x1")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "conv3-8", "--input", "224"], ["spatial axes", "3x224x224", "1x224"]),
        (
            ["table", "vgg16", "--input", "3x64x64,1x64x64"],
            ["several shapes", "--input NAME=3x64x64 --input NAME=1x64x64"],
        ),
        (
            ["table", "vgg16", "--input", "a=3x64x64,b=1x64x64"],
            ["several shapes", "--input a=3x64x64 --input b=1x64x64"],
        ),
        (["table", "vgg16", "--input", "3x0x224"], ["not a shape", "whole numbers ≥ 1"]),
        (["table", "vgg16", "--input", "3x-1x224"], ["not a shape"]),
        (["table", "vgg16", "--input", "3x22.4x224"], ["not a shape"]),
        (["table", "vgg16", "--input", ""], ["not a shape"]),
        (["table", "vgg16", "--input", "３x224x224"], ["not a shape", "3x224x224"]),
        (["table", "vgg16", "--input", "3x" + "9" * 4200 + "x" + "9" * 4200], ["limit of an axis"]),
        (["table", "vgg16", "--input", "3x99999999999999x8"], ["limit of an axis"]),
        (["table", "vgg16", "--batch", "٣"], ["digits 0 to 9"]),
        (["table", "vgg16", "--batch", "1.5"], ["1.5"]),
        (["table", "vgg16", "--batch", "-1"], ["batch"]),
        (["table", "conv 3x3, 64"], ["write conv3-64"]),
        (["table", "conv 3, 64"], ["write conv3-64"]),
        (["table", "conv 1x7-32"], ["write conv1x7-32"]),
        (["table", "conv3-8, "], ["a layer was expected"]),
        (["table", "b{conv3-8, relu}"], ["a block has no branches"]),
        (["table", "torchvision.models:resnet18"], ["write py:torchvision.models:resnet18"]),
        (["table", "timm:create_model('x')"], ["write py:timm:create_model('x')"]),
        (
            ["table", "torchvision:alexnet"],
            [
                "only the totals are kept",
                "61,100,840 parameters",
                "write alexnet-torchvision, which is the same network",
            ],
        ),
        (["rf", "timm:rdnet_small"], ["only the totals are kept", "py:timm:create_model('rdnet_small')"]),
        (
            ["compare", "vgg16", "torchvision:fcn_resnet50"],
            ["of torchvision:fcn_resnet50 only", "weights_backbone=None"],
        ),
        (["table", "vgg"], ["did you mean vgg", "rfcalc list"]),
        (["table", "resnet-55"], ["did you mean resnet50"]),
        (["table", "VGG-61"], ["did you mean vgg"]),
        (["vgg61"], ["no command and no network", "did you mean vgg"]),
        (["tabel", "vgg16"], ["did you mean table"]),
        (["table"], ["target", "rfcalc table vgg16"]),
        (["explain", "vgg16"], ["rfcalc explain vgg16 pool5"]),
        (["explain"], ["rfcalc explain vgg16 pool5"]),
        (["compare"], ["rfcalc compare"]),
        (["rf"], ["rfcalc rf vgg16"]),
        (["export"], ["rfcalc export"]),
        (["check", "nothing-like-it"], ["nothing-like-it"]),
        (["grade"], ["rfcalc grade"]),
        (["table", "vgg16", "--columns", "nmae"], ["did you mean name", "rfcalc columns lists them"]),
        (["table", "vgg16", "--columns", "kernel"], ["kernel", "rfcalc columns lists them"]),
        (["table", "vgg16", "--columns", "papper"], ["did you mean paper", "rfcalc columns lists them"]),
        (["table", "vgg16", "--columns", "name,parms"], ["'parms'", "did you mean params"]),
        (["table", "conv3x3-8 relu", "--input", "3x224"], ["2-D", "3 numbers, channels first", "3x224x224"]),
        (["table", "conv3x3-8 relu", "--input", "1x3x224x224"], ["without the batch", "did you mean 3x224x224"]),
        (["table", "conv3-8 maxpool2 maxpool2", "--input", "96x64x3"], ["channels first", "did you mean 3x96x64"]),
        (["table", "conv3-8 maxpool2 maxpool2", "--input", "2x3x64x64"], ["without the batch", "did you mean 3x64x64"]),
        (["table", "conv7-8/8 maxpool9", "--input", "64x64"], ["begins with the channels", "did you mean 3x64x64"]),
        (
            ["table", "conv3-8", "--input", "image=3x64x64"],
            ["no input 'image'", "the only input is input", "--input 3x64x64"],
        ),
        (["table", "vgg16", "--format", "jsno"], ["did you mean json"]),
        (["table", "vgg16", "--style", "keras"], ["keras", "summary"]),
        (["table", "vgg16", "-o", "out.pdf"], ["no pdf is written", "rfcalc draw NETWORK -o net.svg"]),
        (["grid", "vgg16", "-o", "out.svg"], ["no svg is written", ".md"]),
        (["sizes", "vgg16", "-o", "out.xlsx"], ["no xlsx is written", ".csv"]),
        (["draw", "vgg16", "-o", "out.jpg"], ["no jpg is written", "png"]),
        (["table", "vgg16", "--sort", "foo"], ["foo", "rfcalc columns lists them"]),
        (["explain", "vgg16", "pool5", "recptive-field"], ["did you mean receptive", "rfcalc columns lists them"]),
        (["table", "."], ["this is a folder"]),
        (["table", "vgg16,resnet50"], ["several networks", "rfcalc compare vgg16 resnet50"]),
        (["check", "missing.rfclaims.toml"], ["missing.rfclaims.toml", "no such file"]),
        (["check", "folder/claims.toml"], ["no such file", "*.rfclaims.toml"]),
        (["check", "model.py:Net"], ["rfcalc lock model.py:Net", "--run model.py:Net"]),
        (["list", "vggg"], ["unknown network", "rfcalc list without a name"]),
        (["columns", "kernel-shape"], ["kernel-shape", "shows all"]),
        (["table", "vgg16", "--input", "()"], ["not a shape", "3x224x224"]),
        (["table", "vgg16", "--dtype", "float33"], ["float33", "float32"]),
        (["table", "vgg16", "--at", "pool9"], ["did you mean pool"]),
        (["table", "vgg16", "pool9"], ["did you mean pool"]),
        (["rf", "vgg16", "pool9"], ["did you mean pool"]),
        (["rf", "vgg16", "pool5", "pool4"], ["pool4", "rfcalc rf"]),
        (["rf", "vgg16", "--unit", "a,b"], ["--unit"]),
        (["rf", "vgg16", "--from", "pool9"], ["pool9"]),
        (["table", "vgg16", "--jsn"], ["--jsn", "rfcalc table"]),
        (["table", "vgg16", "resnet18", "alexnet"], ["resnet18", "rfcalc table"]),
        (["table", "model.pt"], ["there is no such file"]),
        (["table", "missing.onnx"], ["there is no such file"]),
        (["table", "conv3-64 > conv3"], ["no channels", "conv3-64"]),
        (["table", "conv3-64 >> > relu"], ["a layer was expected"]),
        (["table", "(conv3-64"], ["never closed"]),
        (["table", "conv3-64)"], ["not expected"]),
        (["table", "conv3-0"], ["conv3-0"]),
        (["table", "conv0-8"], ["conv0-8"]),
        (["equivalents", "conv3-64x3"], ["write conv3-64 x3"]),
        (["table", "conv3-64x2 relu, maxpool2"], ["write conv3-64 x2 relu, maxpool2"]),
        (["table", "conv3-64 x0"], ["0 times"]),
        (["table", "conv3-64 x99999999999999"], ["too many"]),
        (["table", "conv3-N"], ["rfcalc symbolic"]),
        (["symbolic", "vgg61"], ["did you mean vgg"]),
        (["compare", "vgg16", "vgg61"], ["did you mean vgg"]),
    ],
)
def test_a_mistake_is_one_message_that_helps(capsys, arguments: list[str], words: list[str]) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert all(word.lower() in err.lower() for word in words), err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("224x224x3", "224 channels of 224x3, as shapes are channels first; did you mean 3x224x224?"),
        ("1x3x224x224", "1 channel of 3x224x224, as shapes are without the batch; did you mean 3x224x224?"),
        ("8x64x48x1", "8 channels of 64x48x1, as shapes are channels first, without the batch; did you mean 1x64x48?"),
        ("64x64", "64 channels of 64, as a shape begins with the channels; did you mean 3x64x64?"),
    ],
)
@pytest.mark.parametrize("command", [["table"], ["rf"], ["compare", "conv5-8"]])
def test_notation_takes_any_shape_and_says_what_it_took(capsys, command: list[str], typed: str, words: str) -> None:
    code, out, _ = call(capsys, *command, "conv3-8", "--input", typed)
    assert code == 0
    assert words in " ".join(out.split())


@pytest.mark.parametrize(
    "typed", ["3x224x224", "64x56x56", "3x16x112x112", "1x64x64x64", "1x16000", "64x128", "16x8x3"]
)
def test_usual_shapes_of_notation_raise_no_doubt(capsys, typed: str) -> None:
    assert "did you mean" not in " ".join(call(capsys, "table", "conv3-8", "--input", typed)[1].split())


@pytest.mark.parametrize("word", ALIASES)
def test_commands_of_other_tools_point_the_way(capsys, word: str) -> None:
    code, _, err = call(capsys, word, "vgg16")
    assert code == 2
    assert ALIASES[word] in err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_spelling_of_an_option_ends_in_every_command(command: str) -> None:
    """`quiz` has no ``--format``, which `export` takes for ``--to``: looked up again and again, it never ended."""
    own = Commands().get_command(None, command)
    for option in (*OPTIONS, *TOLD, "--for-mat", "--colour"):
        for typed in ([option, "1"], [f"{option}=1"]):
            with suppress(RfcalcError):
                Understood(own).meant(typed)


def test_a_bare_call_shows_examples_that_run(capsys) -> None:
    code, out, err = call(capsys)
    assert (code, err) == (0, "")
    assert out.startswith("rfcalc table vgg16 ")
    assert len([line for line in out.split("\n") if line.startswith("rfcalc ") and "  " in line]) == 3


def test_help_keeps_bracketed_words(capsys) -> None:
    out = call(capsys, "explain", "--help")[1]
    assert "NODE METRIC" in out
    assert "\\[" not in out


def shell(line: str, folder: Path, **options: str) -> subprocess.CompletedProcess[str]:
    text = line.replace("rfcalc ", f"{sys.executable} -m rfcalc ", 1)
    env = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", str(Path(__file__).parent.parent)), **options}
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, cwd=folder, check=False, env=env)


def test_a_shell_that_took_the_sign_for_itself_is_told(tmp_path: Path) -> None:
    done = shell("rfcalc table conv3-8 > maxpool2", tmp_path)
    assert done.returncode == 0
    assert "file called maxpool2" in done.stderr
    assert "conv1" in (tmp_path / "maxpool2").read_text(encoding="utf-8")
    assert shell("rfcalc table conv3-8 > table.txt", tmp_path).stderr == ""


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("rfcalc table vgg16 --all | head -1; exit ${PIPESTATUS[0]}", 0, ""),
        ("rfcalc table vgg16 > /dev/full", 2, "No space left"),
        ("rfcalc table vgg16 -o /dev/full", 2, "No space left"),
        ("rfcalc table vgg16 >&-", 2, "standard output"),
        ("rfcalc table - <&-", 2, "it is closed"),
        ("rfcalc quiz <&-", 2, "standard input"),
        ("rfcalc table vgg16 2>&-", 0, ""),
    ],
)
def test_broken_streams_are_one_line(tmp_path: Path, line: str, code: int, words: str) -> None:
    done = shell(line, tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_a_deleted_folder_is_no_traceback(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell(f"cd {gone} && rmdir {gone} && rfcalc table vgg16 --output x.txt", tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_output_goes_through_links_devices_and_pipes(capsys, tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real.txt", tmp_path / "link.txt", tmp_path / "pipe"
    real.write_text("before", encoding="utf-8")
    real.chmod(0o640)
    link.symlink_to(real)
    assert call(capsys, "table", "vgg16", "--output", str(link))[0] == 0
    assert link.is_symlink()
    assert "vgg16" in real.read_text(encoding="utf-8") or "conv1_1" in real.read_text(encoding="utf-8")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert call(capsys, "list", "--output", str(pipe))[0] == 0
        assert "vgg16" in reader.communicate()[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert call(capsys, "list", "--output", "/dev/null")[0] == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_read_only_file_is_not_replaced(capsys, tmp_path: Path) -> None:
    file = tmp_path / "kept.txt"
    file.write_text("kept", encoding="utf-8")
    file.chmod(0o444)
    code, _, err = call(capsys, "list", "--output", str(file))
    assert code == 2
    assert "read-only" in err
    assert file.read_text(encoding="utf-8") == "kept"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert call(capsys, "list", "--output", str(loop))[0] == 2
    assert call(capsys, "list", "--output", str(tmp_path))[0] == 2


def test_code_beside_is_named(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text("raise SystemExit('never run')", encoding="utf-8")
    for typed in ("model:Net", "model.Net"):
        code, _, err = call(capsys, "table", typed)
        assert code == 2
        assert "write model.py:Net" in err


def test_networks_and_figures_by_a_part_of_their_names(capsys) -> None:
    code, out, _ = call(capsys, "list", "vgg")
    assert code == 0
    assert "vgg16" in out and "resnet" not in out
    code, out, _ = call(capsys, "list", "ResNet50", "--json")
    assert all("resnet50" in entry["name"] for entry in json.loads(out)["networks"])
    code, out, _ = call(capsys, "columns", "macs")
    assert code == 0
    assert "macs_share" in out and "receptive_field  " not in out


def test_a_misspelt_file_is_suggested(capsys, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("", encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes(b"")
    for typed, meant in (("modle.py:Net", "model.py"), ("modle.onnx", "model.onnx")):
        code, _, err = call(capsys, "table", str(tmp_path / typed))
        assert code == 2
        assert f"did you mean {meant}" in err


MODULES = """
import torch
from torch import nn


class Read(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.first = layer

    def forward(self, x):
        return self.first(x)


class Image(nn.Module):
    def __init__(self, size=0):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8 * size * size if size else 8, 10)
        self.size = size

    def forward(self, x):
        y = self.conv((x - 0.5) / 0.25)
        return self.head(y.flatten(1) if self.size else y.mean((2, 3)))


class Flat(Read):
    def forward(self, x):
        return self.first(x.flatten(1))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(1, 8, 3)

    def forward(self, image, depth):
        return self.a(image) + self.b(depth)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)]

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


class Last(Read):
    def forward(self, x):
        return super().forward(x.permute(0, 3, 1, 2) * 2)


class Frames(Read):
    def forward(self, x):
        return super().forward(x.transpose(1, 2))


def gray(): return Read(nn.Conv2d(1, 8, 3))
def grouped(): return Read(nn.Conv2d(6, 6, 3, groups=3))
def signal(): return Read(nn.Conv1d(2, 8, 3))
def volume(): return Read(nn.Conv3d(1, 8, 3))
def up(): return Read(nn.ConvTranspose2d(4, 8, 2, 2))
def flat(): return Flat(nn.Linear(784, 10))
def table(): return Read(nn.Linear(64, 10))
def ids(): return Read(nn.Embedding(100, 16))
def last(): return Last(nn.Conv2d(3, 8, 3))
def gray_last(): return Last(nn.Conv2d(1, 8, 3))
def frames(): return Frames(nn.Conv3d(3, 8, 3))
def up_last(): return Last(nn.ConvTranspose2d(3, 8, 2, 2))
def decoder(): return nn.Sequential(nn.Linear(6, 128), nn.Unflatten(1, (8, 4, 4)), nn.ConvTranspose2d(4, 3, 2, 2))
def broken(): return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(16, 8, 3))
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("modules") / "model.py"
    path.write_text(MODULES, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "typed", "why", "meant"),
    [
        ("Image", "224x224x3", "channels first", "3x224x224"),
        ("Image", "1x3x64x64", "without the batch", "3x64x64"),
        ("Image", "1x64x64x3", "channels first, without the batch", "3x64x64"),
        ("Image", "96", "one number", "3x96x96"),
        ("Image", "3x96", "3 numbers", "3x96x96"),
        ("Image", "96x64", "3 numbers", "3x96x64"),
        ("Image", "1x64x64", "3 channels (2-D)", "3x64x64"),
        ("gray", "28x28", "3 numbers", "1x28x28"),
        ("gray", "28", "one number", "1x28x28"),
        ("gray", "3x28x28", "1 channel (2-D)", "1x28x28"),
        ("gray", "", "no input was given", "1x224x224"),
        ("grouped", "3x32x32", "6 channels", "6x32x32"),
        ("up", "", "4 channels", "4x224x224"),
        ("signal", "", "2 channels (1-D)", "2x16000"),
        ("signal", "100", "one number", "2x100"),
        ("signal", "100x2", "channels first", "2x100"),
        ("volume", "", "1 channel (3-D)", "1x16x112x112"),
        ("volume", "1x32x32", "4 numbers", "1x32x32x32"),
        ("flat", "", "784 features", "1x28x28 or --input 784"),
        ("flat", "3x30x30", "784 features", "1x28x28 or 784"),
        ("table", "", "64 features", "--input 64"),
        ("table", "32", "64 features", "did you mean 64?"),
        ("ids", "", "integers", "--input int64:16"),
        ("Image(32)", "", "8192", "it runs on 3x32x32"),
        ("Image(32)", "3x64x64", "8192", "it runs on 3x32x32"),
        ("last", "", "no input was given, and the first convolution (", "--input 224x224x3"),
        ("last", "3x32x40", "axis 2 of it as its 3 channels", "did you mean 32x40x3?"),
        ("last", "32x40x1", "axis 2 of it as its 3 channels", "did you mean 32x40x3?"),
        ("gray_last", "", "axis 2 of it as its 1 channel", "--input 224x224x1"),
        ("frames", "3x4x16x16", "axis 1 of it as its 3 channels", "did you mean 4x3x16x16?"),
        ("up_last", "3x32x40", "axis 2 of it as its 3 channels", "did you mean 32x40x3?"),
        ("decoder", "6", "takes 4 channels and gets 8", "the fault is in the module: mend 2"),
        ("broken", "", "takes 16 channels and gets 8", "the fault is in the module: mend 1"),
        ("broken", "3x32x32", "takes 16 channels and gets 8", "the fault is in the module: mend 1"),
        ("Two", "3x8x8", "2 inputs", "--input image=… --input depth=…"),
    ],
)
def test_shapes_of_modules_as_people_type_them(
    capsys, modules: str, name: str, typed: str, why: str, meant: str
) -> None:
    code, out, err = call(capsys, "table", f"{modules}:{name}", *(["--input", typed] if typed else []))
    assert (code, out) == (2, "")
    assert why in err
    assert meant in err.partition("fix: ")[2], err
    assert f"--input {typed or '3x224x224'}\n" not in err.partition("fix: ")[2], "the fix is never what just failed"


@pytest.mark.filterwarnings("ignore")
def test_shapes_of_onnx_files_as_people_type_them(capsys, modules: str, tmp_path: Path) -> None:
    import importlib.util

    import torch

    spec = importlib.util.spec_from_file_location("typed", modules)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    file = str(tmp_path / "image.onnx")
    torch.onnx.export(found.Image().eval(), (torch.zeros(1, 3, 32, 32),), file, dynamo=False, input_names=["x"])
    for typed, why, meant in (
        ("64x48x3", "channels first", "3x64x48"),
        ("1x3x64x64", "without the batch", "3x64x64"),
        ("64", "one number", "3x64x64"),
        ("64x64", "3 numbers", "3x64x64"),
        ("1x64x64", "3 channels (2-D)", "3x64x64"),
    ):
        code, out, err = call(capsys, "table", file, "--input", typed)
        assert (code, out) == (2, "")
        assert why in err
        assert f"did you mean {meant}?" in err
    assert call(capsys, "table", file, "--input", "3x64x64")[0] == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("layer", "shape", "typed", "meant"),
    [
        ("Conv1d(2, 8, 3)", (1, 2, 64), ("64", "64x2", "1x2x64", "3x64"), "2x64"),
        ("Conv3d(1, 8, 3)", (1, 1, 8, 16, 16), ("8x16x16", "1x1x8x16x16", "8x16x16x1"), "1x8x16x16"),
    ],
)
def test_shapes_of_signals_and_volumes_in_onnx_files(
    capsys, tmp_path: Path, layer: str, shape: tuple[int, ...], typed: tuple[str, ...], meant: str
) -> None:
    import torch

    file = str(tmp_path / "model.onnx")
    module = eval(f"torch.nn.{layer}", {"torch": torch}).eval()
    torch.onnx.export(module, (torch.zeros(*shape),), file, dynamo=False, input_names=["x"])
    for wrong in typed:
        code, out, err = call(capsys, "table", file, "--input", wrong)
        assert (code, out) == (2, "")
        assert f"did you mean {meant}?" in err
    code, _, err = call(capsys, "table", file, "--input", f"image={meant}")
    assert code == 2 and f"the only input is x: --input x={meant}" in err
    assert call(capsys, "table", file, "--input", f"x={meant}")[0] == 0


@pytest.mark.parametrize("command", ["table", "rf", "sizes", "memory", "counts", "explain"])
def test_several_inputs_are_taken_in_their_order(capsys, modules: str, command: str) -> None:
    more = ["params"] if command == "explain" else []
    network = f"{modules}:Two"
    by_order = call(capsys, command, network, *more, "-i", "3x8x8", "-i", "1x8x8")
    by_name = call(capsys, command, network, *more, "-i", "image=3x8x8", "-i", "depth=1x8x8")
    assert by_order == by_name
    assert by_order[0] == 0
    assert call(capsys, command, network, *more, "-i", "image=3x8x8", "-i", "1x8x8")[0] == 2


def test_layers_in_a_plain_list_are_told(capsys, modules: str) -> None:
    out = call(capsys, "table", f"{modules}:Listed", "--input", "3x8x8", "--format", "plain")[1]
    assert "the layers in steps are not registered: use nn.ModuleList" in out


@pytest.mark.parametrize(
    ("name", "network"),
    [("torchvision:alexnet", "alexnet-torchvision"), ("torchvision:resnet50", "resnet50"), ("timm:rdnet_small", "")],
)
def test_models_of_packages_are_checked_by_either_name(capsys, name: str, network: str) -> None:
    code, out, _ = call(capsys, "check", name, "--json")
    assert code == 0
    found = {claim["network"] for claim in json.loads(out)["claims"]}
    assert found <= {name, network}
    assert network in found or not network


FIXED = [  # what is typed, words of the message, and what it says to type instead, which works
    ("table vgg16 --input 3 224 224", "takes one word; write --input 3x224x224", "table vgg16 --input 3x224x224"),
    ("rf resnet18 -i 3 96 96", "write -i 3x96x96", "rf resnet18 -i 3x96x96"),
    ("table vgg16 --output", "nothing stands behind --output", "table vgg16 --output {0}/table.md"),
    ("table vgg16 -o", "nothing stands behind -o", "table vgg16 -o {0}/table.md"),
    ("table vgg16 --sort", "--sort params", "table vgg16 --sort params"),
    ("table vgg16 --columns", "--columns name,output,params", "table vgg16 --columns name,output,params"),
    ("table vgg16 --input", "--input 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --batch", "--batch 8", "table vgg16 --batch 8"),
    ("sizes resnet18 --near", "--near 350x525", "sizes resnet18 --near 350x525"),
    ("memory alexnet --budget", "--budget 24GB", "memory alexnet --budget 24GB"),
    ("table vgg16 --batch eight", "takes a whole number: --batch 8", "table vgg16 --batch 8"),
    ("table vgg16 --batch 1e3", "takes a whole number", "table vgg16 --batch 8"),
    ("table vgg16 --depth two", "takes a whole number: --depth 8", "table vgg16 --depth 8"),
    ("quiz --difficulty hard", "takes a whole number", "exercise --difficulty 1 --count 1"),
    ("vgg16 rf", "the command comes before; write rfcalc rf vgg16", "rf vgg16"),
    ("vgg16 rf pool5", "write rfcalc rf vgg16 pool5", "rf vgg16 pool5"),
    ("vgg16 table", "write rfcalc table vgg16", "table vgg16"),
    ("rf pool5 vgg16", "vgg16 is a network; write rfcalc rf vgg16 pool5", "rf vgg16 pool5"),
    ("table pool5 vgg16", "write rfcalc table vgg16 pool5", "table vgg16 pool5"),
    ("--table vgg16", "--table is no option; write rfcalc table vgg16", "table vgg16"),
    ("--rf vgg16 pool5", "write rfcalc rf vgg16 pool5", "rf vgg16 pool5"),
    ("version", "rfcalc --version", "--version"),
    ("help tabel", "did you mean table?", "help table"),
    ("sizes resnet18 350", "write rfcalc sizes resnet18 --near 350x350", "sizes resnet18 --near 350x350"),
    ("sizes resnet18 --near 350", "write 350x350", "sizes resnet18 --near 350x350"),
    ("tile unet 256", "write rfcalc tile unet --tile 256", "tile unet --tile 256"),
    ("memory alexnet 32", "write rfcalc memory alexnet --batch 32", "memory alexnet --batch 32"),
    ("exercise 2", "write rfcalc exercise --count 2", "exercise --count 2"),
    ("quiz 2", "write rfcalc quiz --count 2", "exercise --count 2"),
    ("export vgg16 -o {0}/vgg16.onnx", "no onnx is written; .toml (spec)", "export vgg16 -o {0}/vgg16.toml"),
    ("export vgg16 -o {0}/vgg16.pt", "no pt is written; .py (PyTorch source)", "export vgg16 -o {0}/vgg16.py"),
    ("export vgg16 --to pytorch", "did you mean torch?", "export vgg16 --to torch"),
    ("export vgg16 --to tomll", "there is notation, spec", "export vgg16 --to spec"),
    ("draw vgg16 {0}/net.svg", "write it behind -o: -o {0}/net.svg", "draw vgg16 -o {0}/net.svg"),
    ("draw vgg16 -o {0}/net", "the file has no ending; -o {0}/net.svg", "draw vgg16 -o {0}/net.svg"),
    ("draw vgg16 --theme darkk", "did you mean dark?", "draw vgg16 --theme dark"),
    ("draw vgg16 --style stage", "did you mean stages?", "draw vgg16 --style stages"),
    ("draw vgg16 --format svgz", "did you mean svg?", "draw vgg16 --format svg"),
    ("table vgg16 --format yaml", "json", "table vgg16 --format json"),
    ("table vgg16 --format markdwon", "did you mean markdown?", "table vgg16 --format markdown"),
    ("table conv3_8", "write them after a dash: conv3-8", "table conv3-8"),
    ("table conv3x3(8)", "write them after a dash: conv3x3-8", "table conv3x3-8"),
    ("table conv5", "write them after a dash: conv5-64", "table conv5-64"),
    ("equivalents conv7", "write them after a dash: conv7-64", "equivalents conv7-64"),
    ("equivalents vgg16", "name a layer or a stack of layers: conv7-C", "equivalents conv7-C"),
    ("design rf=>50", "write >= and <=", "design rf>=9,params<4k"),
    ("design rf>=9/params<=1M", "comma between two constraints", "design rf>=9,params<=1M"),
    ("design parms<1M", "did you mean params", "design params<1k"),
    ("explain vgg16 rf pool5", "the node comes first: pool5 rf", "explain vgg16 pool5 rf"),
    ("explain vgg16 pool5", "name a metric after it: pool5 receptive-field", "explain vgg16 pool5 receptive-field"),
    ("explain vgg16 pool5 receptive", "did you mean receptive_field?", "explain vgg16 pool5 receptive_field"),
    ("memory alexnet --optimizer adamm", "did you mean adam", "memory alexnet --optimizer adam"),
    ("exercise --family recptive-field", "did you mean receptive-field?", "exercise --family receptive-field -n 1"),
    ("list vggg", "did you mean vgg", "list vgg"),
    ("tables vgg16", "did you mean table", "table vgg16"),
    ("table resnet", "did you mean resnet50", "table resnet50"),
    ("table {0}/sub", "this is a folder; a path to a file in it", "table {0}/sub/spec.toml"),
    ("table {0}/figures.csv", "no network is read from a file of this kind; .toml", "table {0}/sub/spec.toml"),
    ("table {0}/weights.pth", "it holds weights; model.py:build", "table {0}/sub/spec.toml"),
    ("table {0}/sub/spec.tml", "no such file; did you mean", "table {0}/sub/spec.toml"),
    ("table {0}/model.py::Net", "write one colon: model.py:Net", "table {0}/model.py:Net"),
    ("table {0}/model.py:Nett", "did you mean Net?", "table {0}/model.py:Net"),
    ("table {0}/model.py", "name one: {0}/model.py:Net", "table {0}/model.py:Net"),
    ("table {0}/model.py:Net(wide=8)", "unexpected keyword; without wide=", "table {0}/model.py:Net(width=8)"),
    # shapes as other libraries print and write them
    ("table vgg16 --input 3:224:224", "write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input 3/224/224", "write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input 3x224x224x", "write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input 'torch.Size([3, 224, 224])'", "write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input -1x3x224x224", "without the batch; write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input Nx3x224x224", "without the batch; write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input Nonex224x224x3", "channels first; write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input 224x224xRGB", "channels first; write 3x224x224", "table vgg16 --input 3x224x224"),
    ("table vgg16 --input NCHW", "write it like 3x224x224", "table vgg16 --input 3x224x224"),
    # layers in other words, glued or apart
    ("table conv3x3x64", "write them after a dash: conv3x3-64", "table conv3x3-64"),
    ("table conv64", "write them after a dash: conv3-64", "table conv3-64"),
    ("table 3x3conv-64", "did you mean conv3x3-64?", "table conv3x3-64"),
    ("table '3x3 conv, 64'", "write conv3x3-64", "table conv3x3-64"),
    ("table conv3-64-relu", "did you mean conv3-64 relu?", "table conv3-64 relu"),
    ("table conv3-64relu", "write conv3-64 relu", "table conv3-64 relu"),
    ("table conv3-64/relu", "write conv3-64 relu", "table conv3-64 relu"),
    ("table max_pool2", "did you mean maxpool2?", "table maxpool2"),
    ("table maxpooling2", "did you mean maxpool2?", "table maxpool2"),
    ("table 'maxpool 2x2'", "write maxpool2", "table maxpool2"),
    ("table gap", "did you mean globalavgpool?", "table globalavgpool"),
    ("table dense10", "did you mean fc10?", "table fc10"),
    ("table convtranspose2-8/2", "did you mean convT2-8/2?", "table convT2-8/2"),
    ("table 'conv3-64 batch_norm relu'", "write conv3-64 bn relu", "table 'conv3-64 bn relu'"),
    ("table 'conv3-64 stride=2 padding=1'", "write conv3-64 s2 p1", "table 'conv3-64 s2 p1'"),
    ("table 'conv3-64 x 3'", "write conv3-64 x3", "table 'conv3-64 x3'"),
    ("table '[conv3-64 relu] x2'", "write (conv3-64 relu) x2", "table '(conv3-64 relu) x2'"),
    ("table '{{conv3-64 relu}} x2'", "write (conv3-64 relu) x2", "table '(conv3-64 relu) x2'"),
    ("table 'input conv3-64 relu()'", "write conv3-64 relu", "table 'conv3-64 relu'"),
    ("table conv³-64", "did you mean conv3-64?", "table conv3-64"),
    (
        "table 'nn.Conv2d(3, 64, 3), nn.ReLU()'",
        "write nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU())",
        "table 'nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU())'",
    ),
    ("table 'vgg 16'", "in several words; write vgg16", "table vgg16"),
    ("table attention8 --input 3x8x8", "give 3 heads", "table attention3 --input 3x8x8"),
    # options misspelt, or of other tools
    ("table vgg16 --depht 2", "did you mean --depth 2?", "table vgg16 --depth 2"),
    ("table vgg16 --imput=3x224x224", "did you mean --input 3x224x224?", "table vgg16 --input 3x224x224"),
    ("table vgg16 --colunms name,rf", "did you mean --columns name,rf?", "table vgg16 --columns name,rf"),
    ("table vgg16 --no-note", "did you mean --no-notes?", "table vgg16 --no-notes"),
    ("table vgg16 --output=", "nothing stands behind --output", "table vgg16 --output {0}/table.md"),
    ("table vgg16 --device cuda", "leave it out: nothing is run", "table vgg16"),
    ("table vgg16 --pretrained", "leave it out: figures do not depend on values", "table vgg16"),
    ("table vgg16 -v", "leave it out; --all shows every node", "table vgg16 --all"),
    ("table vgg16 --frobnicate", "rfcalc table takes --input, --batch", "table vgg16 --batch 2"),
    ("tile unet --overlap 32", "rfcalc tile says which halo is needed", "tile unet"),
    ("compare vgg16 --with vgg19", "one after another: compare vgg16 resnet50", "compare vgg16 vgg19"),
    ("symbolic vgg16 --symbol H", "did you mean --symbols H?", "symbolic vgg16 --symbols H,W"),
    ("stream wavenet --axis x", "--axis takes a whole number: --axis 0", "stream wavenet --axis 0"),
    ("memory alexnet --budget 8", "8 bytes hold no map; write 8GB", "memory alexnet --budget 8GB"),
    ("design --params 1M", "write it as a constraint: 'params <= 1M'", "design 'rf >= 9, params <= 4k'"),
    ("design --lint", "give a value: --lint vgg16", "design --lint vgg16"),
    # nodes, units and metrics
    ("explain vgg16 pool5.rf", "write rfcalc explain vgg16 pool5 rf", "explain vgg16 pool5 rf"),
    ("explain vgg16 rf@pool5", "write rfcalc explain vgg16 pool5 rf", "explain vgg16 pool5 rf"),
    (
        "explain vgg16 pool5 receptive field",
        "write rfcalc explain vgg16 pool5 receptive-field",
        "explain vgg16 pool5 receptive-field",
    ),
    ("rf vgg16 pool5 --unit 7,7", "the last one is 6,6", "rf vgg16 pool5 --unit 6,6"),
    ("rf vgg16 --unit 3,3", "such as --at pool5", "rf vgg16 --at pool5 --unit 3,3"),
    # files and code
    ("table {0}/model.py.Net", "write {0}/model.py:Net", "table {0}/model.py:Net"),
    ("table {0}/model.py:Net width=8", "write them behind it: rfcalc table", "table '{0}/model.py:Net(width=8)'"),
    ("table '{0}/model.py:Net(width=8'", "close the bracket: Net(width=8)", "table '{0}/model.py:Net(width=8)'"),
    ("table {0}/model.py:state", "dict of 1 entry is not a network; model.py:Net", "table {0}/model.py:Net"),
    ("table py:torch.nn.ReLU", "write py:torch.nn:ReLU", "table py:torch.nn:ReLU"),
    ("check {0}/model.py", "name what is in it: rfcalc lock {0}/model.py:Net", "lock {0}/model.py:Net"),
    ("table {0}/model.py:Steps", "positions of 40 features; --input 100x40", "table {0}/model.py:Steps -i 100x40"),
    ("table {0}/model.py:Steps -i 40x9", "did you mean 9x40?", "table {0}/model.py:Steps -i 9x40"),
    ("table {0}/model.py:Steps -i 1x9x40", "did you mean 100x40?", "table {0}/model.py:Steps -i 100x40"),
]


@pytest.mark.parametrize(("typed", "words", "fixed"), FIXED, ids=[typed for typed, _, _ in FIXED])
def test_what_a_message_says_to_type_works(capsys, tmp_path: Path, typed: str, words: str, fixed: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "spec.toml").write_text('layers = "conv3-8 relu"\n', encoding="utf-8")
    (tmp_path / "figures.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "weights.pth").write_bytes(b"PK")
    (tmp_path / "model.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self, width=4):\n"
        "        super().__init__(nn.Conv2d(3, width, 3))\n\n\nclass Steps(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.lstm = nn.LSTM(40, 8, batch_first=True)\n\n"
        "    def forward(self, x):\n        return self.lstm(x)[0]\n\n\nstate = {'weight': 1}\n",
        encoding="utf-8",
    )
    code, out, err = call(capsys, *shlex.split(typed.format(tmp_path)))
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ") and "Traceback" not in err
    told = " ".join(err.split())
    assert all(part in told for part in words.format(tmp_path).split("; ")), err
    assert call(capsys, *shlex.split(fixed.format(tmp_path)))[0] in ((0, 1) if "budget" in fixed else (0,))
