"""A right table gets full marks however it is written: heads, shapes, separators, titles, notes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rfcalc
from rfcalc.cli import run
from rfcalc.teaching.grading.marking import Key
from rfcalc.teaching.grading.reading import decoded

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
    "{1} by {2} by {0}",
    "{1}/{2}/{0}",
    "[-1, {0}, {1}, {2}]",
    "{1} x {2} x {0}",
    "{0}*{1}*{2}",
    "Nx{0}x{1}x{2}",
)
HEADS = (
    ("Lage", "Ausgabegröße", "Rezeptives Feld (px)", "Schrittweite", "Anzahl Parameter"),
    ("Couche", "Taille de sortie", "Champ réceptif", "Pas", "Nombre de paramètres"),
    ("Couche", "Sortie", "Champ récepteur", "Pas", "Nb de paramètres"),
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
        *(
            (f"field {rf}", written(rf=rf))
            for rf in ("{} px", "{}px", "{}x{}", "{} × {} pixels", "{}.0", "{},0", "ca. {}", "{} px (side)")
        ),
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
        ("numbered rows", "\n".join(f"{i}. {line}" if i else line for i, line in enumerate(right.strip().split("\n")))),
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


HEADS_OF_COUNTRIES = {
    "cp1252": "Schicht;Größe;Rezeptives Feld",
    "mac_roman": "Schicht;Größe;Rezeptives Feld",
    "cp1250": "Warstwa;Rozmiar wyjścia;Pole recepcyjne",
    "cp1251": "слой;размер выхода;рецептивное поле",
    "gb18030": "层;输出尺寸;感受野",
    "shift_jis": "レイヤー;出力サイズ;受容野",
    "euc_kr": "레이어;출력 크기;수용 영역",
}


@pytest.mark.parametrize("encoding", HEADS_OF_COUNTRIES)
def test_encodings_of_countries_are_told_by_their_heads(encoding: str) -> None:
    text = f"{HEADS_OF_COUNTRIES[encoding]}\nconv1;8x32x32;5\n"
    assert decoded(text.encode(encoding)) == text
    key = Key(rfcalc.analyze("conv5-8", "3x32x32"))
    assert key.mark(decoded(text.encode(encoding))).percent() == 100


def test_what_is_no_table_in_a_class_is_named_and_stops_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ada.csv").write_text("layer,rf\nconv1,5\n")
    (tmp_path / "bob.xlsx").write_bytes(b"PK\x03\x04rest")
    (tmp_path / "cleo.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "dan.csv").write_bytes(bytes(range(256)))
    (tmp_path / "eve.csv").write_bytes(b"")
    (tmp_path / "README.rst").write_text("the teacher's")
    assert run(["grade", str(tmp_path), "--network", "conv5-8", "--input", "3x32x32", "--format", "json"]) == 2
    found = {r["student"]: r for r in json.loads(capsys.readouterr().out)["results"]}
    assert list(found) == ["ada.csv", "bob.xlsx", "cleo.pdf", "dan.csv", "eve.csv"]
    assert [bool(r["error"]) for r in found.values()] == [False, True, True, True, True]
    assert "save it as CSV" in found["bob.xlsx"]["error"]
