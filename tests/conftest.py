"""Golden outputs: small files in tests/golden, compared as they are; `pytest --regenerate` writes them anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the golden outputs anew; read the difference")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the golden file of this name."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--regenerate"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8", newline="\n")
        assert path.exists(), f"{path} is missing: pytest --regenerate"
        assert path.read_text(encoding="utf-8") == text + "\n", f"{name} has changed: pytest --regenerate"

    return compare
