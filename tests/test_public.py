"""What stands at the top level of rfcalc: every name loads, is known to type checkers, and shows itself on one line."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rfcalc
from rfcalc import layers

SOURCE = Path(rfcalc.__file__)
FUNCTIONS = (
    "analyze",
    "check",
    "compare",
    "equivalents",
    "exercises",
    "explain",
    "load",
    "networks",
    "receptive_field",
    "require",
    "verify",
)


def told_to_type_checkers() -> dict[str, str]:
    """The names that the block for type checkers imports, and from which module."""
    (block,) = (
        node
        for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    found: dict[str, str] = {}
    for statement in block.body:
        assert isinstance(statement, ast.ImportFrom)
        for alias in statement.names:
            assert alias.asname == alias.name, f"write {alias.name} as {alias.name}: else it is no public name"
            found[alias.name] = str(statement.module).removeprefix("rfcalc.")
    return found


def test_the_table_of_names_and_the_imports_for_type_checkers_are_the_same() -> None:
    homes = {**rfcalc.HOMES, **{name: f"layers.{module}" for name, module in layers.WHERE.items()}}
    told = told_to_type_checkers()
    for name, home in homes.items():
        line = f"    from rfcalc.{home} import {name} as {name}"
        assert told.get(name) == home, f"rfcalc/__init__.py lacks, in the block for type checkers: {line}"
    assert not told.keys() - homes.keys(), "these names are in no table of names"


@pytest.mark.parametrize("name", [n for n in dir(rfcalc) if not n.startswith("_")])
def test_every_name_loads(name: str) -> None:
    assert getattr(rfcalc, name) is getattr(rfcalc, name)


def test_functions_are_at_the_top_level() -> None:
    assert all(callable(getattr(rfcalc, name)) for name in FUNCTIONS)
    assert rfcalc.networks("vgg1?") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert len(rfcalc.exercises(2, 7)) == 2
    assert all(result.passed for result in rfcalc.check("vgg16"))
    assert rfcalc.compare("conv3-8", "conv5-8").figures
    assert "212" in rfcalc.explain("vgg16", "pool5", "rf").result
    assert rfcalc.explain(rfcalc.analyze("vgg16"), "params").value == 138_357_544
    with pytest.raises(rfcalc.RfcalcError, match="is not a metric"):
        rfcalc.explain("vgg16")
    with pytest.raises(AttributeError, match="analyse"):
        _ = rfcalc.analyse  # type: ignore[attr-defined]


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("torch", "sympy", "keras", "onnx", "numpy", "rich", "typer")))
from rfcalc import *
assert analyze("vgg16").totals.params == 138_357_544 and Conv(8, kernel=3)
try:
    to_torch(load("vgg16"))
except RfcalcError as error:
    assert "rfcalc[torch]" in str(error), error
else:
    raise AssertionError("torch is there")
"""


def test_star_import_works_without_any_optional_package() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_star_import_loads_no_optional_package() -> None:
    code = (
        "from rfcalc import *; import sys; print([m for m in ('torch', 'sympy', 'numpy', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_needs_a_package_has_its_own_help() -> None:
    import inspect

    from rfcalc.backend.build import to_torch

    assert rfcalc.to_torch.__doc__ == to_torch.__doc__
    assert inspect.signature(rfcalc.to_torch) == inspect.signature(to_torch)


TYPED = """
import rfcalc
from rfcalc import Conv, analyze
report = analyze("vgg16")
reveal_type(report.totals.params)
reveal_type(report["pool5"].receptive_field.size)
reveal_type(report["pool5"].receptive_fields)
reveal_type(rfcalc.check("vgg16"))
reveal_type(rfcalc.compare("a", "b"))
reveal_type(rfcalc.explain("vgg16", "params"))
reveal_type(rfcalc.receptive_field("vgg16"))
reveal_type(rfcalc.networks())
reveal_type(rfcalc.exercises())
rfcalc.analyse("vgg16")
from rfcalc import Convolution
report.total
"""


def test_type_checkers_see_types_and_catch_slips(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    (tmp_path / "snippet.py").write_text(TYPED, encoding="utf-8")
    skipped = "[mypy-torch.*,sympy.*,rich.*,numpy.*,onnx.*,keras.*]\nfollow_imports = skip\n"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nfollow_imports = silent\nstrict = True\n{skipped}", encoding="utf-8")
    told, _, _ = api.run(["--config-file", str(tmp_path / "mypy.ini"), str(tmp_path / "snippet.py")])
    revealed = [line.partition('Revealed type is "')[2].rstrip('"') for line in told.splitlines() if "Revealed" in line]
    short = [r.replace("builtins.", "").replace("rfcalc.", "") for r in revealed]
    assert len(short) == 9, told
    assert short[0] == "int", told
    assert "Any" not in short, told
    for slip in ("analyse", "Convolution", "total"):
        assert any("error" in line and slip in line for line in told.splitlines()), f"{slip} passes: {told}"


def test_public_objects_show_themselves_on_one_line() -> None:
    report = rfcalc.analyze("vgg16")
    field = rfcalc.receptive_field("vgg16", "pool5")
    row = report["pool5"]
    for value in (
        *(report, report.totals, row, row.receptive_field, row.receptive_field.status, row.cost, row.node, row.shape),
        *(field, field.regions, field.unit((0, 0)), field.effective_field()[0], report.document()),
        *(rfcalc.compare("vgg16", "vgg19"), rfcalc.compare("vgg16", "vgg19").figures[0]),
        *(rfcalc.check("vgg16")[0], rfcalc.check("vgg16")[0].claim, rfcalc.exercises(1)[0]),
        *(
            rfcalc.sizes("unet"),
            rfcalc.grid("vgg16", "pool4"),
            rfcalc.stream("conv3-8", "1x100"),
            rfcalc.stream("vgg16"),
        ),
        *(rfcalc.tile("unet-padded", "1x64x64", tiles=2), rfcalc.memory("vgg16"), rfcalc.draw("vgg16")),
        *(rfcalc.design("rf >= 9", family="stack", input="3x32x32"), rfcalc.symbolic("conv3-C x3")),
        *(rfcalc.explain("vgg16", "pool5", "rf"), rfcalc.from_text("7,2,1,SAME;3,2,1,SAME")),
    ):
        shown = repr(value)
        assert "\n" not in shown, shown
        assert "object at 0x" not in shown, shown
        assert len(shown) < 240, shown


def test_nobody_outside_reaches_into_the_walk_of_a_report() -> None:
    """A report answers for shapes, costs, inputs and nodes, and is what the other walks start from: nothing but its own
    file knows the walk that it holds."""
    reach = re.compile(r"\b(report|analyze\([^()]*\)|Report\([^()]*\))\._?walked\b")
    own = Path("report", "report.py")
    root = Path(rfcalc.__file__).parent
    found = [
        f"{path.relative_to(root)}: {match[0]}"
        for path in root.rglob("*.py")
        if path.relative_to(root) != own
        for match in reach.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found, found
    for control in ("report.walked", "self.report._walked", 'analyze("vgg16").walked', "Report(network).walked"):
        assert reach.search(control)
    assert not hasattr(rfcalc.analyze("conv3-8", "3x8x8"), "walked")


def test_what_the_readers_and_analyses_give_is_taken_wherever_a_network_is() -> None:
    """A report, a network, an expression, and what `from_torch` gives: the same figures by every function."""
    torch = pytest.importorskip("torch")
    from rfcalc.backend.verify import verify

    torch.set_num_threads(1)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2))
    read = rfcalc.from_torch(module, "3x16x16")
    forms = (read, read.network, rfcalc.analyze(read), rfcalc.analyze(module, "3x16x16"))
    for target in forms:
        assert rfcalc.analyze(target).totals.params == 224
        assert rfcalc.receptive_field(target).field.size == (4, 4)
        assert rfcalc.tile(target, tile=8).parts
        assert rfcalc.stream(target).latency == rfcalc.stream(read).latency
        assert rfcalc.memory(target).to_dict()["terms"] == rfcalc.memory(read).to_dict()["terms"]
        assert rfcalc.symbolic(target).put(C=3)["params"] == 224
        assert rfcalc.compare(target, "conv3-8").subjects
        assert rfcalc.explain(target, "params").value == 224
        assert sum(p.numel() for p in rfcalc.to_torch(target).parameters()) == 224
        assert verify(target, what=("shapes", "params", "macs")).passed
    batch = rfcalc.analyze("conv3-8", "3x8x8", batch=3)
    assert rfcalc.analyze(batch) is batch  # nothing of it is lost
    assert rfcalc.analyze(batch, "3x9x9").shapes[0].spatial == (9, 9)
    for reader in (rfcalc.from_torch, rfcalc.from_onnx, rfcalc.from_keras, rfcalc.from_text):
        with pytest.raises(rfcalc.RfcalcError, match="Report is no"):
            reader(batch)


def test_rows_are_found_by_place_and_by_name() -> None:
    report = rfcalc.analyze("conv3-8 > relu > maxpool2", "3x8x8")
    assert [report[i].name for i in (0, -1, 2)] == ["conv1", "maxpool1", "maxpool1"]
    assert report[-3].name == report["conv1"].name
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            report[beyond]
    for wrong in (None, 2.5, ("conv1",), "conv2"):
        with pytest.raises(rfcalc.RfcalcError, match="unknown node"):
            report[wrong]


def test_numbers_and_arrays_of_other_libraries_are_taken_as_python_s() -> None:
    import json

    import numpy
    import torch

    many = (numpy.int64(3), torch.tensor(64), 64)
    for shape in (numpy.array([3, 64, 64]), torch.tensor([3, 64, 64]), many):
        report = rfcalc.analyze("conv3-8/2 > maxpool2", shape, batch=numpy.int64(2))
        assert {type(n) for n in (*report.shapes[0].dims, report.batch, report.totals.macs)} == {int}
        assert json.dumps(report.to_dict())
    layer = rfcalc.Conv(numpy.int64(4), numpy.array([3, 5]), bias=numpy.bool_(False))
    assert repr(layer) == "Conv(4, (3, 5), bias=False)"
    assert repr(rfcalc.repeat(layer, numpy.int8(2))) == "Conv(4, (3, 5), bias=False) * 2"
    field = rfcalc.receptive_field("vgg16", "pool5")
    assert field.unit(numpy.array([3, 3])) == field.unit((3, torch.tensor(3))) == field.unit((3, 3))
    assert json.dumps(field.to_dict((numpy.int64(3), 3)))
    assert (
        rfcalc.tile("conv3-4", "1x64x64", tile=numpy.array([32, 32])).to_dict()
        == rfcalc.tile("conv3-4", "1x64x64", tile="32x32").to_dict()
    )
