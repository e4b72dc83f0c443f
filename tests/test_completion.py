"""What the shell is offered: the completion function itself, for bash, zsh and fish."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = "raise SystemExit('code was run')\n\nclass Net: ...\nclass Need: ...\ndef build(): ...\n"


def offered(folder: Path, line: str, shell: str = "bash") -> list[str]:
    """What is offered for the last word of a line."""
    words = line.split(" ")
    asked = {
        "bash": {"_RFCALC_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_RFCALC_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line},
        "fish": {
            "_RFCALC_COMPLETE": "complete_fish",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "_TYPER_COMPLETE_ARGS": line,
        },
    }[shell]
    root = str(Path(__file__).parent.parent)
    env = {**os.environ, **asked, "PYTHONPATH": root}
    program = "import sys; sys.argv[0] = 'rfcalc'; from rfcalc.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, env=env, check=False
    )
    assert "Traceback" not in done.stderr
    text = done.stdout
    for sign in ("_arguments '*: :((", "))'", '"'):
        text = text.replace(sign, "")
    return [name for name in text.split("\n") if name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("completion")
    (made / "model.py").write_text(CODE, encoding="utf-8")
    (made / "model.onnx").write_bytes(b"")
    (made / "model.md").write_text("", encoding="utf-8")
    return made


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("rfcalc ta", ["table"]),
        ("rfcalc table vgg16-", ["vgg16-c"]),
        ("rfcalc table mod", ["model.py:", "model.onnx"]),
        ("rfcalc table model.py:", ["model.py:Net", "model.py:Need", "model.py:build"]),
        ("rfcalc table model.py:Ne", ["model.py:Net", "model.py:Need"]),
        ("rfcalc rf vgg16 conv5", ["conv5_1", "conv5_3"]),
        ("rfcalc rf resnet18 --at layer2", ["layer2", "layer2.0", "layer2.1.conv1"]),
        ("rfcalc table resnet18 --at conv", ["conv1", "conv2_x"]),
        ("rfcalc explain vgg16 pool", ["pool5"]),
        ("rfcalc explain vgg16 pool5 par", ["params"]),
        ("rfcalc table vgg16 --columns name,par", ["name,params"]),
        ("rfcalc table vgg16 --columns pap", ["paper"]),
        ("rfcalc table vgg16 --style sta", ["stages"]),
    ],
)
def test_words_are_completed(folder: Path, line: str, some: list[str]) -> None:
    assert set(some) <= set(offered(folder, line))


def test_code_is_never_run_and_other_files_are_not_offered(folder: Path) -> None:
    assert offered(folder, "rfcalc rf model.py:Net conv") == []
    assert not any(name.endswith(".md") for name in offered(folder, "rfcalc table mod"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_offered_the_same(folder: Path, shell: str) -> None:
    assert {"conv5_1", "conv5_2", "conv5_3"} <= set(offered(folder, "rfcalc rf vgg16 conv5", shell))
