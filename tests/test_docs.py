"""Every code block of README and docs does what it says."""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from blocks import PAGES, ROOT, blocks, session

from rfcalc.backend.twin import MEASURES, TWINS
from rfcalc.core.expr import LAYERS


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_console_blocks_print_what_the_page_shows(page: Path) -> None:
    for block in blocks(page, "console"):
        assert session(block) == block, f"{page.name}: run `python tests/blocks.py` and read the difference"


@pytest.fixture
def own_kinds() -> Iterator[None]:
    """Layer kinds (and their twins) that a page adds are gone after it."""
    registries = (LAYERS, TWINS, MEASURES)
    before = [set(registry.names()) for registry in registries]
    yield
    for registry, names in zip(registries, before, strict=True):
        for name in set(registry.names()) - names:
            registry.remove(name)


@pytest.mark.usefixtures("own_kinds")
@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("page_of_the_docs")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    scope = module.__dict__
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), scope)
    text = "\n".join(blocks(page, "pycon"))
    test = doctest.DocTestParser().get_doctest(text, scope, page.name, str(page), 0)
    outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert outcome.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_shows_the_two_commands() -> None:
    lines = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").split("\n") if "-m venv" in line]
    assert len(lines) == 2
    assert lines[0].endswith("rfcalc table vgg16")
    assert lines[1].endswith("-m pytest")


def test_the_changelog_names_this_version() -> None:
    import rfcalc

    assert f"## {rfcalc.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
