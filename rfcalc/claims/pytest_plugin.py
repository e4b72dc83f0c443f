"""A pytest plugin: every ``*.rfclaims.toml`` that pytest collects is a file of tests, one for each claim.

Without such a file it imports nothing of rfcalc but this module, and pytest only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rfcalc.claims.files import Claim

ENDING = ".rfclaims.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--rfcalc-run model.py:Net``: code that claims may name, because you name it too."""
    group = parser.getgroup("rfcalc")
    group.addoption("--rfcalc-run", action="append", default=[], help="code that claims files may name: model.py:Net")


def pytest_collect_file(file_path: Path, parent: Any) -> Any:
    """A claims file, and nothing else."""
    return ClaimsFile.from_parent(parent, path=file_path) if file_path.name.endswith(ENDING) else None


class ClaimsFile(pytest.File):
    """A claims file as tests; a file that cannot be read is an error of the collection, a claim a test that fails."""

    def collect(self) -> Iterator[pytest.Item]:
        from rfcalc.claims.files import read
        from rfcalc.claims.judging import Reports
        from rfcalc.core.errors import RfcalcError

        try:
            trusted = self.config.getoption("--rfcalc-run")
            broken: list[RfcalcError] = []
            file = read(self.path, run=trusted, broken=broken)
        except RfcalcError as error:
            raise self.CollectError(str(error)) from None
        reports = Reports(trusted)
        for claim in file:
            yield ClaimItem.from_parent(self, name=claim.name, claim=claim, reports=reports)
        for number, refused in enumerate(broken, 1):
            yield UnreadableItem.from_parent(self, name=f"unreadable-{number}", error=refused)


class UnreadableItem(pytest.Item):
    """A claim that cannot be read, as a test that fails."""

    def __init__(self, *, error: Exception, **rest: Any) -> None:
        super().__init__(**rest)
        self.error = error

    def runtest(self) -> None:
        pytest.fail(str(self.error), pytrace=False)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        return str(excinfo.value)


class ClaimItem(pytest.Item):
    """One claim as a test."""

    def __init__(self, *, claim: Claim, reports: Any, **rest: Any) -> None:
        super().__init__(**rest)
        self.claim = claim
        self.reports = reports

    def runtest(self) -> None:
        from rfcalc.claims.document import message
        from rfcalc.claims.judging import judge

        (result,) = judge([self.claim], self.reports)
        if not result.passed:
            pytest.fail(f"{self.claim.where}\n{message(result)}", pytrace=False)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        from rfcalc.core.errors import RfcalcError

        if isinstance(excinfo.value, (RfcalcError, pytest.fail.Exception)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.claim.line - 1, f"claim {self.claim.name}"
