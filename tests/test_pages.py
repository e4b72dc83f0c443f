"""The pages that are made from the zoo and the claims are fresh, and begin with what they should."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from rfcalc import zoo
from rfcalc.claims.files import networks, shipped

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def pages() -> dict[Path, str]:
    sys.path.insert(0, str(DOCS))
    try:
        made: dict[Path, str] = import_module("make").pages()
    finally:
        sys.path.remove(str(DOCS))
        sys.modules.pop("make", None)
    return made


@pytest.mark.parametrize("name", ["networks.md", "published-numbers.md", "published-numbers-table.html"])
def test_made_pages_are_fresh(pages: dict[Path, str], name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages[DOCS / name], "run `python docs/make.py`"


def test_the_gallery_is_what_its_commands_draw(tmp_path: Path) -> None:
    sys.path.insert(0, str(DOCS / "figures"))
    try:
        gallery = import_module("gallery")
    finally:
        sys.path.remove(str(DOCS / "figures"))
        sys.modules.pop("gallery", None)
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == gallery.page()
    for entry in gallery.entries():
        file = tmp_path / f"{entry.name}.svg"
        gallery.draw(entry, file)
        fresh = file.read_text(encoding="utf-8")
        assert (DOCS / "figures" / file.name).read_text(encoding="utf-8") == fresh, (
            "run `python docs/figures/gallery.py`"
        )


def test_every_network_has_a_row_with_what_confirms_it() -> None:
    rows = [line for line in (DOCS / "networks.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == zoo.networks()
    assert all(row.split("|")[-2].strip() for row in rows)


def test_the_errata_begin_with_the_best_known() -> None:
    text = (DOCS / "published-numbers.md").read_text(encoding="utf-8")
    rows = [line.split("|")[3].strip() for line in text.splitlines() if line.startswith("| `")]
    assert rows[:4] == ["24M", "93MB", "93MB", "358M"]


def test_every_published_number_has_a_row_with_an_address() -> None:
    """The table that can be filtered: as many rows as claims, each with an address of its own; errata first."""
    html5lib = pytest.importorskip("html5lib")
    tree = html5lib.HTMLParser(strict=True).parse((DOCS / "published-numbers-table.html").read_text(encoding="utf-8"))
    ns = "{http://www.w3.org/1999/xhtml}"
    rows = [r for r in tree.iter(f"{ns}tr") if r.get("id")]
    assert len(rows) == len(shipped()) == len({r.get("id") for r in rows})
    for row in rows:
        assert next(row.iter(f"{ns}a")).get("href") == f"#{row.get('id')}"
    kinds = [row.get("class") for row in rows]
    assert kinds == sorted(kinds, key=lambda kind: kind != "erratum")
    assert kinds.count("derived") == sum(c.derived for c in shipped())


def test_every_network_has_a_claim() -> None:
    assert {n for claim in shipped() for n in networks(claim)} >= set(zoo.networks())
