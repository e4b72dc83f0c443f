"""A right table gets full marks however it is written: heads, shapes, separators, titles, notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfcalc.cli import run

OWN_ROWS = (("conv1", (8, 32, 32), 5, 1, 608), ("maxpool1", (8, 16, 16), 6, 2, 0), ("conv2", (16, 16, 16), 10, 2, 1168))
USUAL_HEADS = ("layer", "output", "rf", "stride", "params")
SHAPES = (
    "torch.Size([1, {0}, {1}, {2}])",
    "(1, {1}, {2}, {0})",
    "[(None, {1}, {2}, {0})]",
    "{0}·{1}·{2}",
    "{0}@{1}x{2}",
)
SHAPES += (
    "TensorShape([None, {1}, {2}, {0}])",
    "[-1, {0}, {1}, {2}]",
    "{1} x {2} x {0}",
    "{0}*{1}*{2}",
    "Nx{0}x{1}x{2}",
)
HEADS = (
    ("Lage", "Ausgabegröße", "Rezeptives Feld (px)", "Schrittweite", "Anzahl Parameter"),
    ("Couche", "Taille de sortie", "Champ réceptif", "Pas", "Nombre de paramètres"),
    ("Capa", "Tamaño de salida", "Campo receptivo", "Paso", "Número de parámetros"),
    ("Layer (type)", "Output Shape", "RF", "j", "Param #"),
    ("Layer name", "output (CxHxW)", "Receptive field (RF)", "effective stride", "No. of params"),
)


def handed_in() -> list[tuple[str, str]]:
    """The same right table as students write it."""

    def written(sign: str = ",", heads: tuple[str, ...] = USUAL_HEADS, shape: str = "{0}x{1}x{2}", **how: str) -> str:
        def cell(text: str) -> str:
            return f'"{text}"' if sign in text else text

        lines = [heads]
        for name, extents, rf, stride, params in OWN_ROWS:
            figures = (how.get("rf", "{}").format(rf, rf), how.get("s", "{}").format(stride))
            lines.append((name, shape.format(*extents), *figures, how.get("p", "{}").format(params)))
        return "\n".join(sign.join(map(cell, line)) for line in lines) + "\n"

    right = written()
    return [
        *((f"heads {heads[0]}", written(heads=heads)) for heads in HEADS),
        *((f"shape {shape}", written(shape=shape)) for shape in SHAPES),
        *((f"field {rf}", written(rf=rf)) for rf in ("{} px", "{}px", "{}x{}", "{} × {} pixels", "{}.0", "{},0")),
        *((f"params {p}", written(p=p)) for p in ("{:,}", "{}.0", "{} params", "{} = (1+1)*x", "k*k*c = {}")),
        *((f"sign {sign!r}", written(sign)) for sign in ";\t|"),
        ("semicolons and decimal commas", written(";", rf="{},0", s="{},0")),
        ("Excel", "\ufeffsep=;\r\n" + written(";").replace("\n", "\r\n")),
        ("old Macs", right.replace("\n", "\r")),
        ("a title", "Homework 3,,,,\nName:,Ada,,,\n,,,,\n" + right),
        ("blank rows", right.replace("\n", "\n\n,,,,\n")),
        ("notes", right.replace("\n", ',"I think so, but am not sure"\n')),
        ("the input", right.replace("\n", "\ninput,3x32x32,1,1,0\n", 1)),
        ("totals", right + "Summe,,,,1776\n"),
        ("upside down", "\n".join([right.split("\n")[0], *reversed(right.strip().split("\n")[1:])])),
    ]


@pytest.mark.parametrize(("how", "text"), handed_in())
def test_a_right_table_is_right_however_it_is_written(how: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    asked = ["--network", "conv5-8 > maxpool2 > conv3-16", "--input", "3x32x32", "--rows", "given"]
    assert run(["grade", str(path), *asked]) == 0, how
    wrong = tmp_path / "wrong.csv"  # the control
    wrong.write_bytes(text.replace("608", "609").encode())
    assert run(["grade", str(wrong), *asked]) == 1, how
