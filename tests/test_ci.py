"""CI in a repository of a user's: a lock, a change, the action's steps, the hook; what helps where torch is missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rfcalc.core.errors import MissingExtra
from rfcalc.core.installing import command

ROOT = Path(__file__).parent.parent
MODEL = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width={width}):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(width, 8, 3))
"""


def bash(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{folder}/bin:{os.environ['PATH']}", **environment}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


SPEC = 'layers = "conv3-{width} relu"\ninput = "3x32x32"\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A fresh git repository with a spec file that is locked, and `rfcalc` on its path."""
    (tmp_path / "bin").mkdir()
    run = tmp_path / "bin" / "rfcalc"
    run.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rfcalc "$@"\n', encoding="utf-8")
    run.chmod(0o755)
    (tmp_path / "net.toml").write_text(SPEC.format(width=8), encoding="utf-8")
    locked = bash("git init -q . && rfcalc lock net.toml -o net.rfclaims.toml", tmp_path)
    assert (locked.returncode, locked.stderr) == (0, "")
    return tmp_path


def test_a_change_of_the_width_turns_the_check_red(repository: Path) -> None:
    model = repository / "model.py"
    model.write_text(MODEL.format(width=16), encoding="utf-8")
    locked = bash("rfcalc lock model.py:Net -i 3x32x32 -o model.rfclaims.toml", repository)
    assert (locked.returncode, locked.stderr) == (0, "")
    refused = bash("rfcalc check .", repository)
    assert refused.returncode == 2
    assert "--run model.py:Net" in refused.stderr  # no code without consent
    assert bash("rfcalc check --run model.py:Net", repository).returncode == 0
    model.write_text(MODEL.format(width=17), encoding="utf-8")
    red = bash("rfcalc check model.rfclaims.toml --run model.py:Net", repository)
    assert red.returncode == 1
    assert "mismatch" in red.stdout


def test_a_badge(repository: Path) -> None:
    assert json.loads(bash("rfcalc check . --format badge", repository).stdout)["color"] == "brightgreen"
    (repository / "net.toml").write_text(SPEC.format(width=9), encoding="utf-8")
    assert json.loads(bash("rfcalc check . --format badge", repository).stdout)["color"] == "red"


def steps() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert action["runs"]["using"] == "composite"
    return list(action["runs"]["steps"])


def test_the_actions_step_annotates_and_writes_a_summary(repository: Path) -> None:
    """The step as GitHub runs it: by bash, with the inputs in its environment."""
    step = steps()[-1]
    assert set(step["env"]) == {"FILES", "RUN"}
    summary = repository / "summary.md"
    given = {"FILES": ".", "RUN": "", "GITHUB_STEP_SUMMARY": str(summary)}
    green = bash(step["run"], repository, **given)
    assert green.returncode == 0
    assert "::error" not in green.stdout
    assert summary.read_text(encoding="utf-8").startswith("| network")
    (repository / "net.toml").write_text(SPEC.format(width=9), encoding="utf-8")
    red = bash(step["run"], repository, **given)
    assert red.returncode == 1
    assert re.search(r"^::error file=net\.rfclaims\.toml,line=\d+,title=params::", red.stdout, re.MULTILINE)
    assert "mismatch" in summary.read_text(encoding="utf-8")
    claims = (repository / "net.rfclaims.toml").read_text(encoding="utf-8")
    (repository / "net.rfclaims.toml").write_text(claims.replace('"net.toml"', '"model.py:Net"'), encoding="utf-8")
    unsaid = bash(step["run"], repository, **given)
    assert unsaid.returncode == 2
    assert "--run model.py:Net" in unsaid.stderr  # code is run only where the workflow names it


def test_the_actions_step_reads_designs(repository: Path) -> None:
    """A line a network; a chosen rule that finds something fails the step, whatever comes after it."""
    step = next(s for s in steps() if s["name"] == "Read the designs")
    summary = repository / "summary.md"
    odd = "conv3-16>bn --input 3x16x16 --rules bias"
    good = "conv3-16 --input 3x16x16 --rules bias,gridding"
    for lines, code in ((f"{good}\n", 0), (f"{odd}\n\n{good}", 1), ("conv3-16 --rules bais", 2)):
        ran = bash(step["run"], repository, LINT=lines, GITHUB_STEP_SUMMARY=str(summary))
        assert ran.returncode == code, ran.stderr
    assert "16 biases before batchnorm1" in summary.read_text(encoding="utf-8")


def test_the_actions_inputs_are_not_put_into_its_script() -> None:
    """An expression within a script would let an input run code: inputs come through the environment alone."""
    for step in steps():
        assert "${{ inputs." not in step["run"]


def test_the_hook_fires_on_specs_models_claims_and_code() -> None:
    yaml = pytest.importorskip("yaml")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    fires = re.compile(hook["files"])
    for name in ("net.toml", "a/b.rfclaims.toml", "spec.json", "model.onnx", "model.keras", "yolo.cfg", "src/model.py"):
        assert fires.search(name), name
    for name in ("notes.txt", "README.md", "picture.png"):
        assert not fires.search(name), name
    assert hook["entry"] == "rfcalc check ."
    assert not hook["pass_filenames"]


@pytest.mark.system
def test_the_hook_in_a_repository(repository: Path, tmp_path: Path) -> None:
    """pre-commit itself installs the hook from a clone, lets a commit pass, and stops one that changes a figure."""
    hooks = tmp_path / "hooks"
    made = bash(
        f"git clone -q {ROOT} {hooks} && git -C {hooks} tag v0 && rm net.rfclaims.toml",
        repository,
    )
    assert made.returncode == 0, made.stderr
    config = f"repos:\n- repo: {hooks}\n  rev: v0\n  hooks:\n  - id: rfcalc-check\n"
    (repository / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    commit = "git -c user.name=a -c user.email=a@b commit -qm"
    prepare = (
        f'"{sys.executable}" -m venv pc && pc/bin/pip install -q pre-commit && printf "bin\\npc\\nhome\\nhooks\\n" '
        "> .gitignore && rfcalc lock net.toml -o net.rfclaims.toml && git add -A && pc/bin/pre-commit install"
    )
    home = {"PRE_COMMIT_HOME": str(tmp_path / "home")}
    ready = bash(prepare, repository, **home)
    assert ready.returncode == 0, ready.stderr
    passed = bash(f"unset PYTHONPATH; {commit} first", repository, **home)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    (repository / "net.toml").write_text(SPEC.format(width=9), encoding="utf-8")
    red = bash(f"unset PYTHONPATH; git add net.toml && {commit} wider", repository, **home)
    assert red.returncode == 1
    assert "mismatch" in red.stdout + red.stderr


@pytest.mark.system
def test_the_hook_on_claims_about_code(repository: Path, tmp_path: Path) -> None:
    """With `language: system` the hook runs the code that it names, in the environment where torch is."""
    hooks, model = tmp_path / "hooks", repository / "model.py"
    model.write_text(MODEL.format(width=16), encoding="utf-8")
    about = "language: system, args: [--run, 'model.py:Net']"
    config = f"repos:\n- repo: {hooks}\n  rev: v0\n  hooks:\n  - {{id: rfcalc-check, {about}}}\n"
    (repository / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    home = {"PRE_COMMIT_HOME": str(tmp_path / "home")}
    commit = "git -c user.name=a -c user.email=a@b commit -qm"
    ready = bash(
        f"git clone -q {ROOT} {hooks} && git -C {hooks} tag v0 && rm net.rfclaims.toml net.toml && "
        f'"{sys.executable}" -m venv pc && pc/bin/pip install -q pre-commit && printf "bin\\npc\\nhome\\nhooks\\n" '
        "> .gitignore && rfcalc lock model.py:Net -i 3x32x32 -o model.rfclaims.toml && git add -A && "
        f"pc/bin/pre-commit install && {commit} first",
        repository,
        **home,
    )
    assert ready.returncode == 0, ready.stdout + ready.stderr
    model.write_text(MODEL.format(width=17), encoding="utf-8")
    red = bash(f"git add model.py && {commit} wider", repository, **home)
    assert red.returncode == 1
    assert "mismatch" in red.stdout + red.stderr


@pytest.mark.parametrize(
    ("folder", "file", "package", "extra"),
    [
        ("venv", "pyvenv.cfg", "pip install torch", "pip install 'rfcalc[torch]'"),
        ("tools/rfcalc", "uv-receipt.toml", "uv tool install rfcalc --with torch", "uv tool install 'rfcalc[torch]'"),
        ("uv/archive-v0/x", "pyvenv.cfg", "uvx --with torch rfcalc", "uvx --from 'rfcalc[torch]' rfcalc"),
        ("venvs/rfcalc", "pipx_metadata.json", "pipx inject rfcalc torch", "pipx install --force 'rfcalc[torch]'"),
        ("pipx/.cache/x", "pyvenv.cfg", "pipx run --with torch rfcalc", "pipx run --spec 'rfcalc[torch]' rfcalc"),
    ],
)
def test_a_missing_package_is_answered_for_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, file: str, package: str, extra: str
) -> None:
    prefix = tmp_path / folder
    prefix.mkdir(parents=True)
    (prefix / file).touch()
    assert command("torch", prefix=str(prefix)).startswith(package)
    assert command("torch", "torch", prefix=str(prefix)).startswith(extra)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    assert extra in str(MissingExtra("torch", "torch"))


def test_the_readme_stands_on_its_own_where_it_is_published() -> None:
    """Links and pictures of the long description are absolute; pictures come as files, not as pages about them."""
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["metadata"]["hooks"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for change in hook["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
    assert len(links) > 40
    for picture, link in links:
        assert link.startswith("https://" if not link.startswith("#") else "#"), link
        if picture:
            assert link.startswith("https://raw.githubusercontent.com/"), link
            assert (ROOT / link.partition("/main/")[2]).is_file()
    first = (ROOT / "README.md").read_text(encoding="utf-8").split("\n")[:8]
    assert any(line.startswith("![") for line in first), "a picture is on the first screen"


def test_what_the_source_distribution_needs_is_in_it() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    included = built["sdist"]["include"]
    for path in ("rfcalc", "tests", "docs", "CHANGELOG.md", "CITATION.cff", "action.yml", ".pre-commit-hooks.yaml"):
        assert path in included
        assert (ROOT / path).exists()
