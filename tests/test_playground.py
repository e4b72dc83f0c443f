"""The playground in a headless browser, from the built site: typed, dragged, hovered, dropped; figures equal ours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser, served

import rfcalc
from rfcalc.derivation.blackboard import document
from rfcalc.derivation.deriving import derive
from rfcalc.formulas.table import document as formulas
from rfcalc.render import fragment

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
VENDOR = DOCS / "playground" / "vendor" / "pyodide" / "pyodide.asm.wasm"

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert CHROMIUM is not None, "Chromium is missing"
    assert VENDOR.exists(), "run `python docs/playground/fetch.py` first"
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(DOCS), str(out)]
    subprocess.run(command, check=True, capture_output=True, cwd=out)
    with served(out) as address, browser(tmp_path_factory.mktemp("profile")) as found:
        found.send("Page.navigate", url=f"{address}/playground.html")
        found.until("document.getElementById('pg-root')?.dataset.ready === 'yes'", 150)
        yield found


def params(page: Page, target: str, shape: str | None = None) -> None:
    """Wait until the page shows the parameters that we compute."""
    wanted = rfcalc.analyze(target, shape).totals.params
    page.until(f"document.getElementById('pg-root').dataset.params === '{wanted}'")


def cells(page: Page) -> list[list[str]]:
    return list(page.run(
        "[...document.querySelectorAll('#pg-out-table tbody tr')].map(r => [...r.cells].map(c => c.textContent.trim()))"
    ))  # fmt: skip


def ours(target: str, shape: str | None = None) -> list[list[str]]:
    """The cells of our own table."""
    from html.parser import HTMLParser

    class Cells(HTMLParser):
        rows: list[list[str]] = []  # noqa: RUF012
        inside = False

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag == "tbody":
                self.inside = True
            elif tag == "tr" and self.inside:
                self.rows.append([])
            elif tag in ("td", "th") and self.inside:
                self.rows[-1].append("")

        def handle_endtag(self, tag: str) -> None:
            if tag == "tbody":
                self.inside = False

        def handle_data(self, data: str) -> None:
            if self.inside and self.rows and self.rows[-1]:
                self.rows[-1][-1] += data

    Cells.rows = []
    found = Cells()
    found.feed(rfcalc.analyze(target, shape)._repr_html_())
    return [[cell.strip() for cell in row] for row in found.rows]


def tab(page: Page, name: str) -> None:
    page.click(f"#pg-tabs [data-tab={name}]")
    page.until(f"document.querySelector('#pg-tabs [data-tab={name}]').getAttribute('aria-selected') === 'true'", 10)


def test_the_first_table_is_soon_there(page: Page) -> None:
    bare, first = page.run("playground.bare"), page.run("playground.first")
    assert first <= 1.5 * bare, (bare, first)
    assert page.run("document.getElementById('pg-loading').hidden") is True
    assert (
        len(page.run("[...document.querySelectorAll('#pg-networks option')].map(o => o.value)"))
        == len(rfcalc.networks()) + 1
    )


def test_what_is_typed_has_our_figures(page: Page) -> None:
    tab(page, "table")
    page.write("#pg-input", "3x48x48")
    for text in ("conv3-16 x2 > maxpool2 > conv5-32/2", "(conv3-8 + conv1-8) > globalavgpool flatten fc10"):
        page.write("#pg-text", text)
        params(page, text, "3x48x48")
        assert cells(page) == ours(text, "3x48x48")
    page.write("#pg-text", "conv3-16 > konv")
    page.until("document.getElementById('pg-state').classList.contains('wrong')")
    assert "fix:" in page.run("document.getElementById('pg-state').textContent")


def test_a_network_is_picked(page: Page) -> None:
    page.run(
        "(s => { s.value = 'resnet18'; s.dispatchEvent(new Event('change')); })(document.getElementById('pg-networks'))"
    )
    params(page, "resnet18")
    assert cells(page) == ours("resnet18")


def test_sliders_change_the_layer(page: Page) -> None:
    page.write("#pg-input", "3x64x64")
    page.write("#pg-text", "conv3-16 > conv3-8")
    params(page, "conv3-16 > conv3-8", "3x64x64")
    x, y = page.center("#pg-kernel", 0.2)
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    end, _ = page.center("#pg-kernel", 0.6)
    for step in range(1, 6):
        page.mouse("mouseMoved", x + (end - x) * step / 5, y, button="left", buttons=1)
    page.mouse("mouseReleased", end, y, button="left", clickCount=1)
    page.until("Number(document.getElementById('pg-kernel').value) > 4")
    page.until("!document.getElementById('pg-text').value.startsWith('conv3-16 ')")
    time.sleep(1)
    text = page.run("document.getElementById('pg-text').value")
    kernel = page.run("Number(document.getElementById('pg-kernel').value)")
    report = rfcalc.analyze(text, None)
    assert set(report.rows[0].node.layer.kernel) == {kernel}
    assert page.run("Number(document.getElementById('pg-root').dataset.params)") == report.totals.params


def test_a_hovered_unit_shows_its_pixels(page: Page) -> None:
    target = "conv3-8 > maxpool2 > conv3-8 d2 > conv3-8"
    page.write("#pg-input", "3x32x32")
    page.write("#pg-text", target)
    params(page, target, "3x32x32")
    tab(page, "maps")
    page.until("document.querySelectorAll('#pg-out-maps canvas').length === 5")
    x, y = page.center("#pg-out-maps canvas[data-node=conv3]", (5 + 0.5) / 16, (9 + 0.5) / 16)
    page.mouse("mouseMoved", x, y)
    page.until("document.getElementById('pg-state').textContent.startsWith('conv3, unit 9,5')")
    for source in ("input", "conv1", "maxpool1", "conv2"):
        field = rfcalc.receptive_field(target, at="conv3", source=source, input="3x32x32")
        size = page.run(f"document.querySelector('#pg-out-maps canvas[data-node={source}]').dataset.size")
        assert size == "x".join(map(str, field.unit((9, 5)).size))
    count = page.run(
        "(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v).length)"
        "(document.querySelector('#pg-out-maps canvas[data-node=input]'))"
    )
    region = rfcalc.receptive_field(target, at="conv3", input="3x32x32").unit((9, 5))
    assert abs(count / (132 / 32) ** 2 - region.count) < 0.2 * region.count


def test_pictures_and_derivations(page: Page) -> None:
    tab(page, "picture")
    page.until("document.querySelectorAll('#pg-out-picture svg .box').length > 4")
    nodes = page.run("[...document.querySelectorAll('#pg-out-picture [data-nodes]')].map(e => e.dataset.nodes)")
    assert "conv3" in nodes
    tab(page, "derivation")
    page.until("!!document.querySelector('#pg-out-derivation > div')")
    node = page.run("document.getElementById('pg-node').value")
    told = page.run("document.querySelector('#pg-out-derivation > div').textContent")
    target = page.run("document.getElementById('pg-text').value")
    derived = derive(rfcalc.analyze(target, "3x32x32"), node, "receptive_field")
    body = re.sub(r"<style>.*?</style>|<[^>]*>", "", fragment(document(derived)), flags=re.DOTALL)
    assert told.split() == unescape(body).split()


def test_a_file_is_dropped(page: Page) -> None:
    file = DOCS / "examples" / "segment.onnx"
    page.write("#pg-input", "3x64x64")
    x, y = page.center("#pg-state")
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)
    page.until("document.getElementById('pg-text').value === 'file:segment.onnx'")
    page.write("#pg-input", "3x64x64")
    tab(page, "table")
    params(page, str(file), "3x64x64")
    assert cells(page) == ours(str(file), "3x64x64")


def test_text_is_pasted(page: Page) -> None:
    page.write("#pg-input", "3x32x32")
    page.write("#pg-text", "nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))")
    page.until("document.getElementById('pg-root').dataset.params === '448'")


def test_formulas_and_the_command_line(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page.write("#pg-input", "")
    page.write("#pg-text", "conv3-C x3")
    tab(page, "formula")
    page.until("document.getElementById('pg-out-formula').textContent.includes('27')", 150)
    for target in ("conv3-C x3", "conv3-C/2 > (conv3-C + conv1-C) > maxpool2", "vgg16"):
        page.write("#pg-text", target)
        ours = re.sub(
            r"<style>.*?</style>|<[^>]*>", "", fragment(formulas(rfcalc.symbolic(target), "html")), flags=re.S
        )
        told = "document.querySelector('#pg-out-formula > div')?.textContent.replace(/\\s/g, '')"
        page.until(f"{told} === {json.dumps(''.join(unescape(ours).split()))}", 60)
    tab(page, "command")
    page.write("#pg-line", "rfcalc table vgg16 --columns name,output,rf,params --no-notes")
    page.send("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    page.until("document.getElementById('pg-out-command').textContent.includes('138,357,544')", 150)
    from rfcalc.cli import run

    assert run(["table", "vgg16", "--columns", "name,output,rf,params", "--no-notes"]) == 0
    text = page.run("document.getElementById('pg-out-command').textContent")
    assert text.split() == capsys.readouterr().out.split()


def test_a_quiz_is_asked_marked_and_counted(page: Page) -> None:
    from rfcalc.teaching.exercises.bank import exercises

    items = exercises(4, "12", family="receptive-field")
    tab(page, "quiz")
    page.run("document.querySelector('#pg-quiz [name=family]').value = 'receptive-field'")
    page.run("document.querySelector('#pg-quiz [name=count]').value = '4'")
    page.run("document.querySelector('#pg-quiz [name=seed]').value = '12'")
    page.click("#pg-quiz button")
    right = asked = 0
    for number, item in enumerate(items):
        page.until(f"document.getElementById('pg-question-title').textContent.startsWith('{number + 1} of 4')", 30)
        for blank in item.blanks:
            wanted = number != 1  # the second is answered wrongly
            if blank.kind == "choice":
                option = next(i for i, one in enumerate(blank.options) if one.right is wanted)
                page.run(f"document.querySelectorAll('#pg-question input[name={blank.name}]')[{option}].checked = true")
            else:
                text = blank.key if wanted else "98765"
                page.run(f"document.querySelector('#pg-question input[name={blank.name}]').value = '{text}'")
            right, asked = right + wanted, asked + 1
        page.click("#pg-answer")
        page.until(f"document.getElementById('pg-score').textContent.startsWith('{right} of {asked} right')", 30)
        told = page.run("document.getElementById('pg-explanation').textContent")
        wanted_text = "".join(line.replace("`", "") for line in item.question.derivation)
        assert "".join(told.split()) == "".join(wanted_text.split())
        if number < 3:
            page.click("#pg-next")
    assert page.run("location.hash").startswith("#quiz?family=receptive-field")
    assert page.run("document.getElementById('pg-score').textContent").endswith("%")


def test_nothing_went_wrong_and_nothing_was_asked_from_elsewhere(page: Page) -> None:
    page.run("1")
    assert page.wrong == []
