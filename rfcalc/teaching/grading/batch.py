"""One file or a folder of them: each is marked for itself, and one that cannot be read does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.teaching.grading.designs import JudgedDesign
from rfcalc.teaching.grading.marking import Grade

# OTHERS: what students hand in all the same; it is told that it cannot be graded.
TABLES = (".csv", ".tsv", ".tab", ".md", ".markdown", ".txt")
OTHERS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers", ".pdf", ".doc", ".docx", ".odt", ".rtf", ".pages", ".html",
          ".ipynb", ".png", ".jpg", ".jpeg", ".heic", ".zip")  # fmt: skip
MOST_FILES = 10_000

Found: TypeAlias = "Grade | JudgedDesign"


class GradedFile(NamedTuple):
    """What became of one file: the grade, or why there is none."""

    student: str
    grade: Grade | None = None
    judged: JudgedDesign | None = None
    error: str = ""

    def passed(self, percent: int = 100) -> bool:
        """Whether the table has so many of 100 marks, errors carried forward; whether the design keeps every bound."""
        if self.judged is not None:
            return self.judged.passed
        return self.grade is not None and self.grade.percent() >= percent


def files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files of a folder that students handed in, by name; links and hidden files are left out.

    Raises:
        RfcalcError: there are none, or too many.
    """
    try:
        with os.scandir(folder) as entries:
            names = [
                e.name
                for e in entries
                if e.is_file(follow_symlinks=False)
                and not e.name.startswith(".")
                and (e.name.lower().endswith(endings) or Path(e.name).suffix.lower() in OTHERS)
            ]
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror}", where=str(folder)) from None
    if not names:
        raise RfcalcError(
            "no file here can be graded", where=str(folder), why=f"their names end in {', '.join(endings)}"
        )
    if len(names) > MOST_FILES:
        raise LimitError("there are too many files", where=str(folder), why=f"the limit is {MOST_FILES:,}")
    return [folder / name for name in sorted(names)]


def graded(paths: list[Path], one: Callable[[Path], Found], tick: Callable[[int], None]) -> Iterator[GradedFile]:
    """The result of every file.

    Args:
        one: grades a file.
        tick: is told how many are done.
    """
    for done, path in enumerate(paths, 1):
        try:
            if path.suffix.lower() in OTHERS:
                raise RfcalcError("this is no table", fix="save it as CSV (UTF-8) and hand in that")
            yield result(path.name, one(path))
        except RfcalcError as error:
            yield GradedFile(path.name, error=str(error))
        tick(done)


def result(name: str, found: Found) -> GradedFile:
    """A grade with its name."""
    return GradedFile(name, found) if isinstance(found, Grade) else GradedFile(name, judged=found)
