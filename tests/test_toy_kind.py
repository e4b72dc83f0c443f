"""A layer kind is its class, and what PyTorch needs of it: everything else takes a kind that it has never heard of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import Any

import pytest

import rfcalc
from rfcalc.cli import run
from rfcalc.core.cost import Cost, Formula, Saved
from rfcalc.core.expr import LAYERS
from rfcalc.core.layer import Alternatives, Layer, channelwise, layer, over_space, spatial_rank
from rfcalc.core.shape import Shape
from rfcalc.core.sliding import Sliding, keeps
from rfcalc.core.syntax import Spelling, Word, spell

GAINS = Formula("weights", "c", "one gain for each map")
TEXT = "conv3-8 relu > medianpool3/2 > conv3-8 > medianpool2"


@pytest.fixture(scope="module", autouse=True)
def toy() -> Iterator[type[Layer]]:
    """Median pooling with a gain for each map: slides, has weights, keeps the channels apart."""

    @layer("medianpool")
    class MedianPool(Layer):
        kernel: Any
        stride: Any = field(default=None, metadata={"like": "kernel"})
        _: KW_ONLY
        geometry: Sliding = field(init=False, compare=False)

        spelling = Spelling(("medianpool",), "medianpool3/2", (), ("/",), "stride = kernel")

        def __post_init__(self) -> None:
            Sliding.of(self.kernel, self.stride).held_by(self)

        def output(self, *xs: Shape) -> Shape:
            spatial_rank(xs[0], self)
            return Shape(xs[0].dims[0], *self.geometry.lengths(xs[0].dims[1:]))

        def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
            return (over_space(xs[0], self.geometry.slides(xs[0].dims[1:])),)

        def apart(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...] | None:
            return (channelwise(self.reads(xs, y)[0]),)

        def cost(self, xs: tuple[Shape, ...], y: Shape) -> Cost:
            return Cost(weights=GAINS(c=y.dims[0]))

        def saved(self, xs: tuple[Shape, ...], y: Shape) -> Saved:
            return keeps(self.geometry, xs[0])

        def notation(self, exact: bool = False) -> str:
            return spell("medianpool", self.geometry, None, pad="zero", stride=self.kernel, exact=exact)

        @classmethod
        def from_word(cls, word: Word) -> MedianPool:
            return cls(word.geometry(pad="zero", stride="kernel"))

    yield MedianPool
    LAYERS.remove("medianpool")


WORDS: dict[str, list[str]] = {
    "table": ["--columns", "name,output,rf,stride,params,saved_bytes,macs"],
    "rf": [],
    "symbolic": [],
    "explain": [],
    "draw": [],
    "memory": [],
    "sizes": [],
    "tile": ["--tile", "32x32"],
    "grid": [],
    "stream": ["--axis", "0"],
    "compare": ["conv3-8"],
    "counts": [],
}
EXPLAINED = ("receptive-field", "weights", "output_shape", "saved_bytes", "peak_bytes")


@pytest.mark.parametrize("command", WORDS)
def test_every_command_takes_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [command, TEXT, *WORDS[command]]
    given += [] if command == "compare" else ["--input", "3x64x64"]
    for more in [[m] for m in EXPLAINED] if command == "explain" else [[]]:
        assert run([*given[:2], *more, *given[2:]]) == 0, capsys.readouterr()
        assert capsys.readouterr().out


def test_its_figures_are_right() -> None:
    report = rfcalc.analyze(TEXT, "3x64x64")
    last = report.rows[-1]
    assert last.output_shape == (8, 15, 15) and report["medianpool1"].params == 8
    # conv 3, pool 3/2: 5 by stride 2; conv: + 2·2 = 9; pool 2: + 2 = 11 by stride 4
    assert (last.receptive_field.size, last.receptive_field.stride) == ((11, 11), (4, 4))
    formula = rfcalc.symbolic("conv3-C > medianpool2").totals.weights
    assert formula.subs(dict.fromkeys(formula.free_symbols, 5)) == 9 * 5 * 5 + 5


@pytest.mark.parametrize("form", ["notation", "spec", "json"])
def test_it_is_written_and_read_back(form: str, tmp_path: Path) -> None:
    path = tmp_path / {"notation": "net.txt", "spec": "net.toml", "json": "net.json"}[form]
    assert run(["export", TEXT, "--input", "3x64x64", "--to", form, "--output", str(path)]) == 0
    again = rfcalc.load(path.read_text() if form == "notation" else str(path))
    assert [n.layer for n in again.nodes] == [n.layer for n in rfcalc.load(TEXT).nodes]


def test_it_is_in_the_document_of_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("plain", "markdown", "latex", "html", "csv", "json"):
        assert run(["table", TEXT, "--format", form]) == 0
        assert "medianpool" in capsys.readouterr().out
    assert run(["table", TEXT, "--format", "json"]) == 0
    kinds = {row["kind"] for row in json.loads(capsys.readouterr().out)["layers"]}
    assert "medianpool" in kinds


def test_what_pytorch_has_no_layer_for_is_said_with_its_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", TEXT, "--to", "torch"]) == 2
    assert "medianpool1" in capsys.readouterr().err


def test_a_class_gets_a_table_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exercise", "--network", TEXT, "--blank", "output,params"]) == 0, capsys.readouterr().err
    assert "medianpool" in capsys.readouterr().out


def test_control_without_the_kind_the_word_is_refused(toy: type[Layer]) -> None:
    LAYERS.remove("medianpool")
    try:
        with pytest.raises(rfcalc.RfcalcError, match="medianpool"):
            rfcalc.load(TEXT)
    finally:
        LAYERS.add("medianpool", toy)
