"""The site is built from the docs without a warning; its links lead somewhere, its search knows its pages."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import browser, served

import rfcalc

ROOT = Path(__file__).parent.parent
OUTSIDE = ("http", "https", "mailto", "data", "javascript")


class Page(HTMLParser):
    """The anchors of a page, and what it links to and loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.alt: list[str | None] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {v for k in ("id", "name") if (v := found.get(k))}
        if tag == "a" and (link := found.get("href")):
            self.links.append(link)
        if tag in ("script", "img", "link") and (source := found.get("src") or found.get("href")):
            self.loads.append(source)
        if tag == "img":
            self.alt.append(found.get("alt"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(ROOT / "docs"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=out)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in site.rglob("*.html") if "_static" not in file.parts}


def wrong(site: Path, pages: dict[Path, Page]) -> list[str]:
    """The links that lead nowhere."""
    found = []
    for file, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme in OUTSIDE or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                found.append(f"{file.relative_to(site)}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{file.relative_to(site)}: no anchor {link}")
    return found


def test_links_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > 40 and sum(len(page.links) for page in pages.values()) > 2000
    assert wrong(site, pages) == []
    page = pages[site / "index.html"]
    page.links += ["nowhere.html", "glossary.html#nothing"]
    assert len(wrong(site, pages)) == 2  # a control
    del page.links[-2:]


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        assert not [load for load in page.loads if urlsplit(load).netloc]


def test_pages_to_begin_with_lead_to_pages(site: Path, pages: dict[Path, Page]) -> None:
    for role in ("student", "teacher", "researcher", "engineer"):
        inside = [link for link in pages[site / "start" / f"{role}.html"].links if link.startswith("../")]
        assert len(inside) > 40
        assert not [link for link in pages[site / "start" / f"{role}.html"].links if "blob/main" in link]


def test_every_image_is_told_in_words(pages: dict[Path, Page]) -> None:
    assert all(alt is not None for page in pages.values() for alt in page.alt)
    assert sum(len(page.alt) for page in pages.values()) > 20


def test_the_library_is_documented(site: Path, pages: dict[Path, Page]) -> None:
    anchors = pages[site / "api.html"].anchors
    assert {f"rfcalc.{name}" for name in rfcalc.__all__ if not name.startswith("_")} <= anchors
    assert "rfcalc.Report.receptive_field" in anchors


def test_search_finds_pages(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert all(word in index for word in ("halo", "checkpoint", "wavenet", "notation"))


def test_the_record_is_a_page_whose_rows_can_be_linked_to(site: Path, pages: dict[Path, Page]) -> None:
    links = [link for page in pages.values() for link in page.links]
    assert "published-numbers-table.html" in links
    assert not [link for link in links if "_downloads" in link and link.endswith(".html")]
    assert "vgg16-total-memory-in-values" in pages[site / "published-numbers-table.html"].anchors


@pytest.mark.system
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_rows_are_filtered_by_words_and_by_column(site: Path, tmp_path: Path) -> None:
    shown = (
        "[...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent).map(r => r.textContent.toLowerCase())"
    )
    typed = "(e => { e.value = '%s'; e.dispatchEvent(new Event('input')); })(document.querySelector('%s'))"
    with served(site) as address, browser(tmp_path) as page:
        for name, field in (("published-numbers", ".filter"), ("published-numbers-table", "#text")):
            page.send("Page.navigate", url=f"{address}/{name}.html")
            page.until(f"document.readyState === 'complete' && !!document.querySelector('{field}')", 20)
            rows = page.run(shown)
            for text in ("vgg16 memory", "network:googlenet", "network:googlenet why:unexplained", "why:googlenet"):
                page.run(typed % (text, field))
                found = page.run(shown)
                assert len(found) < len(rows)
                if ":" not in text:
                    assert found == [row for row in rows if all(word in row for word in text.split())]
            assert found == []  # googlenet is in the column of networks only
        assert page.run("location.search") == "?q=why%3Agooglenet"


@pytest.mark.system
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_record_fits_wide_and_narrow_windows(site: Path, tmp_path: Path) -> None:
    """No column lies off the screen; the row that a link names is in view, beside a filter too."""
    row = "vgg16-total-memory-in-bytes"
    last = f"document.querySelector('#{row} td:last-child').getBoundingClientRect()"
    with served(site) as address, browser(tmp_path) as page:
        for width in (1300, 1000, 400):
            page.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            for asked, shown in (("", True), ("?q=vgg16", True), ("?q=googlenet", False), ("?kind=printed", False)):
                page.send("Page.navigate", url="about:blank")
                page.send("Page.navigate", url=f"{address}/published-numbers-table.html{asked}#{row}")
                page.until("document.readyState === 'complete' && !!document.querySelector('#shown').value", 20)
                assert page.run("document.documentElement.scrollWidth") <= width
                assert page.run(f"{last}.height > 0") is shown
                if shown:
                    page.until(f"{last}.top < 900 && {last}.bottom > 0 && {last}.right <= {width}", 5)
