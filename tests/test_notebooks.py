"""What notebooks show: of every object, with its own styles, in a real JupyterLab, light and dark, trusted or not."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import rfcalc

ROOT = Path(__file__).parent.parent
LAB = Path(os.environ.get("RFCALC_LAB", ROOT / ".venv-lab")) / "bin" / "python"
SHOWN = {
    "network": lambda: rfcalc.load("conv3-64 x2, maxpool2"),
    "report": lambda: rfcalc.analyze("vgg16"),
    "field": lambda: rfcalc.receptive_field("conv3-8/2 conv3-8 d2", input="3x16x16"),
    "comparison": lambda: rfcalc.compare("conv3-C x3", "conv7-C"),
    "explanation": lambda: rfcalc.explain("vgg16", "pool2", "rf"),
    "formulas": lambda: rfcalc.symbolic("conv3-C x3"),
    "sizes": lambda: rfcalc.sizes("unet", near=(350, 525)),
    "tiles": lambda: rfcalc.tile("conv3-8 x3", input="3x512x512"),
    "grid": lambda: rfcalc.grid("vgg16"),
    "memory": lambda: rfcalc.memory("resnet18"),
    "stream": lambda: rfcalc.stream("conv3-8 x3", input="1x16000"),
    "design": lambda: rfcalc.design("rf >= 9, params < 2k"),
    "lint": lambda: rfcalc.lint("vgg16"),
    "drawing": lambda: rfcalc.draw("conv3-8 relu maxpool2 fc10"),
}


class Tags(HTMLParser):
    """The elements of a fragment, with their styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", SHOWN)
def test_every_object_is_shown_with_styles_of_its_own(name: str) -> None:
    text = SHOWN[name]()._repr_html_()
    tags = Tags(text)
    assert not tags.open
    assert not {"style", "script", "svg"} & {tag for tag, _ in tags.found}, "hosts take these away"
    for tag, attributes in tags.found:
        style = attributes.get("style", "")
        assert "class" not in attributes
        if tag in ("td", "th", "p", "li", "pre", "caption"):
            assert tag == "li" or "text-align:" in style, (tag, style)
        if re.search(r"background(-color)?:#", style):
            assert re.search(r"(^|;)color:#", style), "a background has its own colour of text"
    assert name in ("drawing", "lint") or len(re.findall(r"\d", text)) > 3


def test_a_network_that_cannot_be_analysed_falls_back_to_its_text() -> None:
    network = rfcalc.Network(rfcalc.Conv(8, 9, padding=0), "3x4x4")
    assert network._repr_html_() is None


@pytest.mark.system
def test_jupyterlab_shows_it_in_both_themes_trusted_or_not(tmp_path: Path) -> None:
    assert LAB.exists(), f"{LAB} is missing: .ci/run makes it"
    script = str(Path(__file__).with_name("in_jupyterlab.py"))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([str(LAB), script, str(tmp_path)], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    assert [(f["theme"], f["trusted"]) for f in found] == [(t, u) for t in ("Light", "Dark") for u in (True, False)]
    for one in found:
        assert one["outputs"] >= 13
        assert len(one["texts"]) > 500
        low = [text for contrast, _, text in one["texts"] if contrast < 4.5]
        assert not low, f"hard to read in {one['theme']}: {low[:10]}"
        strange = {align for _, align, _ in one["texts"]} - {"left", "right", "start"}
        assert not strange, f"text is {strange}"
        assert one["images"], "the drawing"
        assert min(one["images"]) > 0
    assert {text for _, _, text in found[0]["texts"]} == {text for _, _, text in found[3]["texts"]}
