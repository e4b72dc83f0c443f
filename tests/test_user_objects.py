"""Targets in the user's own code: what is run, what is only parsed, and what is said when it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.cli import run
from rfcalc.readers import user_code

NET = '''
import torch
from torch import nn
from parts import block

class Net(nn.Module):
    """A chain of convolutions."""
    def __init__(self, depth=2, width=8, *, mode="max"):
        super().__init__()
        self.body = nn.Sequential(*[block(3 if i == 0 else width, width) for i in range(depth)])
        self.pool = nn.MaxPool2d(2) if mode == "max" else nn.AvgPool2d(2)
    def forward(self, x):
        return self.pool(self.body(x))

def huge():
    return nn.Sequential(nn.Linear(200_000, 200_000), nn.Linear(200_000, 200_000))

def with_values():
    layers = [nn.Conv2d(3, int(w), 3) for w in torch.linspace(8, 8, 1).tolist()]
    return nn.Sequential(*layers)

def expression():
    import rfcalc
    return rfcalc.Conv(4, 3)

def broken():
    raise ValueError("no such thing\\nmore")

made = Net(1)
number = 3
'''
PARTS = "from torch import nn\ndef block(a, b):\n    return nn.Conv2d(a, b, 3)\n"


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    return "net.py"


@pytest.mark.parametrize(
    ("name", "size", "params"),
    [
        ("Net", 6, 3 * 8 * 9 + 8 + 8 * 8 * 9 + 8),
        ("Net(3, width=4)", 8, 3 * 4 * 9 + 4 + 2 * (4 * 4 * 9 + 4)),
        ('Net(1, mode="avg")', 4, 3 * 8 * 9 + 8),
        ("made", 4, 3 * 8 * 9 + 8),
        ("with_values", 3, 3 * 8 * 9 + 8),
        ("expression", 3, 3 * 4 * 9 + 4),
    ],
)
def test_files(net: str, name: str, size: int, params: int) -> None:
    report = rfcalc.analyze(f"{net}:{name}", "3x32x32")
    assert (report.rows[-1].receptive_field.size[0], report.totals.params) == (size, params)
    assert report.target == f"{net}:{name}"


def test_modules_of_the_current_folder(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "py:net:Net(depth=1)", "--input", "3x16x16", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in found["layers"]] == ["body.0", "pool"]
    assert run(["rf", "py:net:Net(depth=1)", "--input", "3x16x16", "--at", "body.0"]) == 0
    assert "3 x 3 pixels" in capsys.readouterr().out
    assert run(["export", "py:net:Net(depth=1)", "--input", "3x16x16"]) == 0
    assert "conv3-8" in capsys.readouterr().out


def test_nothing_is_allocated(net: str) -> None:
    """80 billion weights, 320 GB, if they were made."""
    assert rfcalc.analyze(f"{net}:huge", "200000").totals.weights == 2 * 200_000**2


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("net.py:Nett", ["unknown object 'Nett'", "Net"]),
        ("net.py:Net(depth=open)", ["names no object", "literal"]),
        ("net.py:Net(*[1])", ["names no object"]),
        ("net.py:Net(**{})", ["names no object"]),
        ("net.py:Net(depth=2", ["names no object"]),
        ("net.py:__import__('os').getcwd()", ["names no object"]),
        ("net.py:Net(dept=2)", ["Net() fails", "TypeError", "'dept'"]),
        ("net.py:broken", ["broken() fails", "ValueError: no such thing", "line"]),
        ("net.py:number", ["int 3 is not a network"]),
        ("nut.py:Net", ["there is no such file"]),
        ("py:nonsense.module:Net", ["cannot import nonsense.module"]),
        ("py:net", ["names no object", "py:package.module:object"]),
        ("bad.py:Net", ["running bad.py fails", "SyntaxError"]),
        ("worse.py:Net", ["running worse.py fails", "SystemExit"]),
    ],
)
def test_messages(net: str, capsys: pytest.CaptureFixture[str], target: str, words: list[str]) -> None:
    Path("bad.py").write_text("def (:\n")
    Path("worse.py").write_text("raise SystemExit('stop')\n")
    assert run(["table", target]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said
    assert all(word in said for word in words), said


def test_only_the_two_forms_run_code(net: str) -> None:
    """A file's name alone, and the notation, run nothing."""
    Path("side.py").write_text("raise SystemExit('it was run')\n")
    for target in ("side.py", "side:Net", "conv3-8 > side.py"):
        with pytest.raises(RfcalcError) as caught:
            rfcalc.load(target)
        assert "it was run" not in str(caught.value)


def test_references_are_parsed() -> None:
    assert user_code.parse("a.b.C") == user_code.Reference("a.b.C")
    assert user_code.parse("C(-1, [2, (3,)], x={'y': None})").args == (-1, [2, (3,)])
    for text in ("", "C()()", "C[0]", "lambda: 0", "C(x)", "f'{x}'", "C(" * 300, "C('" + "x" * 20_000 + "')"):
        with pytest.raises(RfcalcError, match="names no object"):
            user_code.parse(text)


RUN_CODE = ("table", "rf", "export", "symbolic", "compare", "explain", "verify", "counts", "lock")
RUN_NONE = ("check",)


@pytest.mark.parametrize("command", [*RUN_CODE, *RUN_NONE])
def test_help_says_what_is_taken_and_whether_code_is_run(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "spec file" in told and "model.onnx" in told and "model.keras" in told
    assert "run that code" in told if command in RUN_CODE else "No code is run" in told


def test_claims_about_code_need_it_named_on_the_command_line(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lock", "net.py:Net", "--input", "3x16x16", "--output", "net.rfclaims.toml"]) == 0
    assert run(["check", "net.rfclaims.toml", "--run", "net.py:Net"]) == 0
    assert run(["check", ".", "--run", "net.py:Net"]) == 0
    capsys.readouterr()
    for words in ([], ["--run", "net.py:Other"], ["--run", "other.py:Net"]):
        assert run(["check", "net.rfclaims.toml", *words]) == 2
        said = capsys.readouterr().err
        assert "claims run no code" in said and "--run net.py:Net" in said
    Path("net.py").write_text(Path("net.py").read_text().replace("width=", "width=1 + "))
    assert run(["check", "net.rfclaims.toml", "--run", "net.py:Net"]) == 1, (
        "the module itself is read, not a copy of it"
    )


def test_no_claim_runs_code_by_another_way(capsys: pytest.CaptureFixture[str], net: str) -> None:
    Path("worse.py").write_text("raise SystemExit('it was run')")
    head = 'schema = "rfcalc/claims/1"\nnetwork = "vgg16"\n[[claim]]\nname = "x"\n'
    for what in ("what = \"'worse.py:Net':params\"", "what = \"params - 'py:worse:Net':params\""):
        Path("x.rfclaims.toml").write_text(f'{head}{what}\nprinted = "1"\n')
        assert run(["check", "x.rfclaims.toml"]) == 2
        said = capsys.readouterr().err
        assert "claims run no code" in said and "it was run" not in said


def test_a_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", str(tmp_path)]) == 2
    assert "this is a folder" in capsys.readouterr().err


def test_files_that_no_network_is_read_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code without an object (its names are told, it is not run), and other frameworks' files."""
    ran = tmp_path / "ran"
    code = tmp_path / "m.py"
    code.write_text(f"open({str(ran)!r}, 'w')\nDEPTH = 3\ndef build(): ...\nclass Net: ...\ndef _private(): ...\n")
    for name in ("w.pt", "old.h5", "broken.py"):
        (tmp_path / name).write_text("def f(:")
    for name, told in {
        "m.py": "m.py:Net (or build, DEPTH)",
        "broken.py": "broken.py:build",
        "w.pt": "it holds weights",
        "old.h5": 'model.save("model.keras")',
        "none.py": "there is no such file",
        "none.pth": "there is no such file",
    }.items():
        assert run(["table", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert told in " ".join(error.split()).replace(f"{tmp_path}/", ""), error
    assert not ran.exists()


# --- as a script of its own ------------------------------------------------------------------------------------

SCRIPT = """
import argparse, sys
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=8)
options = parser.parse_args()
print("running with", sys.argv)

class Net(nn.Module):
    def __init__(self, depth, *, width=options.width):
        super().__init__()
        print("building")
        self.c = nn.Conv2d(3, width, 3)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
    def forward(self, x):
        print("running on", tuple(x.shape))
        return self.c(x[:, self.order.tolist()])
"""


def test_a_script_has_its_own_arguments_and_its_output_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)
    before = list(sys.argv)
    assert run(["table", "script.py:Net(2)", "--input", "3x8x8", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert [layer["name"] for layer in json.loads(out)["layers"]][-1] == "c"
    assert all(line in err for line in ("running with ['script.py']", "building", "running on (1, 3, 8, 8)"))
    assert sys.argv == before


LOUD = """
import os, sys
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        os.write(1, b"made\\n")
        self.c = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        os.write(1, b"written\\n")
        os.system("echo said by a child")
        return self.c(x)

class Leaves(Net):
    def forward(self, x):
        sys.exit(3)

class Hidden(Net):
    @property
    def __class__(self):
        raise RuntimeError("no class")

class Holds(Net):
    def __init__(self):
        super().__init__()
        self.it = {"a": object.__new__(type("It", (), {"__class__": property(lambda self: 1 // 0)}))}
"""


def test_what_is_written_past_python_is_no_result_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loud.py").write_text(LOUD)
    for name in ("Net", "Holds"):
        assert run(["table", f"loud.py:{name}", "--input", "3x8x8", "--format", "json"]) == 0
        out, err = capfd.readouterr()
        assert json.loads(out)["schema"] == "rfcalc/report/1"
        assert all(line in err for line in ("made", "written", "said by a child"))
    assert "SystemExit: 3" in advice(capfd, "loud.py:Leaves")
    assert "does not tell its class" in advice(capfd, "loud.py:Hidden")


def advice(capsys: pytest.CaptureFixture[str], target: str) -> str:
    assert run(["table", target, "--input", "3x8x8"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.split())


def test_advice_that_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("class Net:\n    def __init__(self, width, depth, mode='a'): ...\n")
    said = advice(capsys, "model.py:Net")
    assert "Net needs arguments: width, depth" in said
    assert "'model.py:Net(width=…, depth=…)'" in said
    assert "needs arguments: depth" in advice(capsys, "model.py:Net(3)")
    assert "unexpected keyword argument" in advice(capsys, "model.py:Net(3, 4, wide=1)")
    assert "did you mean model.py?" in advice(capsys, "modle.py:Net")
    assert "did you mean model?" in advice(capsys, "py:modle:Net")
    folder = tmp_path / "package" / "inner"
    folder.mkdir(parents=True)
    for path in (folder, folder.parent):
        (path / "__init__.py").write_text("")
    (folder / "blocks.py").write_text("x = 1\n")
    (folder / "net.py").write_text("from .blocks import x\n")
    said = advice(capsys, "package/inner/net.py:Net(depth=2)")
    assert "it is part of a package: py:package.inner.net:Net(depth=2), in the folder ." in said
    Path("missing.py").write_text("import nosuchpackage.layers\n")
    for target in ("missing.py:Net", "py:missing:Net"):
        assert "install nosuchpackage beside rfcalc (pip install nosuchpackage)" in advice(capsys, target)


def test_torch_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("needs.py").write_text("from torch import nn\n")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "install torch beside rfcalc" in advice(capsys, "needs.py:Net")


def test_folders_that_use_the_same_names(tmp_path: Path) -> None:
    """Each model gets the parts beside it, also in one process."""
    for width in (4, 5):
        folder = tmp_path / str(width)
        folder.mkdir()
        (folder / "parts_of.py").write_text(f"width = {width}\n")
        (folder / "model_of.py").write_text(
            "from torch import nn\nfrom parts_of import width\ndef net():\n    return nn.Conv2d(3, width, 3)\n"
        )
        assert rfcalc.analyze(f"{folder}/model_of.py:net", "3x8x8").rows[-1].output_shape == (width, 6, 6)
