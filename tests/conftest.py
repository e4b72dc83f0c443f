"""Golden outputs, and what the random graphs of a run held.

Goldens are small files in tests/golden, compared as they are; `pytest --regenerate` writes them anew. What the random
graphs held is collected from every worker and printed at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphs import Distribution

GOLDEN = Path(__file__).parent / "golden"
RUN = Distribution()
# run by the Python of an environment of its own, and in a process of its own that cannot import rfcalc
collect_ignore = ["in_jupyterlab.py", "exercise_reader.py"]


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


@pytest.fixture
def distribution() -> Distribution:
    """Where a test of random graphs puts what it drew, so that the run can tell."""
    return RUN


def pytest_sessionfinish(session: pytest.Session) -> None:
    workeroutput = getattr(session.config, "workeroutput", None)
    if workeroutput is not None:
        workeroutput["distribution"] = {name: list(getattr(RUN, name).items()) for name in RUN.PARTS}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """xdist: a worker has finished."""
    sent = getattr(node, "workeroutput", {}).get("distribution", {})
    for name, items in sent.items():
        getattr(RUN, name).update(Counter(dict(items)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if RUN.cases:
        terminalreporter.section("random graphs against the oracle")
        for line in RUN.lines():
            terminalreporter.write_line(line)
