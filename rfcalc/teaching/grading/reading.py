"""A file that a student handed in becomes rows of cells: CSV, TSV, Markdown; any common encoding; within limits.

Cells are text. A spreadsheet formula stays the text that it is; nothing is evaluated.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.teaching.grading.columns import column

LARGEST = 4 * 2**20  # bytes of a file
MOST_ROWS = 20_000
MOST_COLUMNS = 200
NATIONAL = ("cp1252", "latin-1", "cp1250", "cp1251", "gb18030", "shift_jis", "euc_kr", "mac_roman")
LONGEST = 500  # characters of a cell that are kept
_RULE = re.compile(r":?-+:?")
_SIZE = re.compile(r"\s*[-\w?]+\s*[)\]]*\s*")  # in a shape, behind its first comma
_LINK = re.compile(r"[*`]|<br\s*/?>", re.I)


class TableRow(NamedTuple):
    """One row of a table: where it stands in the file (from 1), its cells."""

    number: int
    cells: tuple[str, ...]


class SubmittedTable(NamedTuple):
    """A table as it was handed in."""

    head: TableRow
    lines: tuple[TableRow, ...]

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The cells of all rows, the head's first."""
        return (self.head.cells, *(line.cells for line in self.lines))

    def below(self, row: int) -> SubmittedTable:
        """The table whose head is a later row; what stands above it is a title."""
        return self if not row else SubmittedTable(self.lines[row - 1], self.lines[row:])


def text_of(path: Path) -> str:
    """The text of a file: UTF-8 (with a mark or without), UTF-16, else what Windows or an old Mac writes.

    Raises:
        RfcalcError: it cannot be read, is too large, or is no text.
    """
    where = str(path)
    try:
        if not path.is_file():
            raise RfcalcError("there is no such file", where=where, fix="give a CSV, TSV or Markdown file, or a folder")
        if path.stat().st_size > LARGEST:
            raise LimitError("the file is too large", where=where, why=f"the limit is {LARGEST:,} bytes")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror}", where=where) from None
    return decoded(data, where)


def decoded(data: bytes, where: str = "table") -> str:
    """Bytes as text. Of the encodings of one country each, the one in which most heads of columns are known.

    Raises:
        RfcalcError: these are not the bytes of a text.

    >>> decoded("größe".encode("utf-16")) == decoded("größe".encode("latin-1")) == "größe"
    True
    >>> decoded("слой;шаг\\nconv1;2".encode("cp1251"))
    'слой;шаг\\nconv1;2'
    """
    if data[:4] == b"PK\x03\x04" or data[:5] == b"%PDF-" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise RfcalcError("this is not a text", where=where, fix="save the spreadsheet as CSV (UTF-8) and hand in that")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        forms = ["utf-16"]
    elif b"\x00" in data[:200]:
        forms = ["utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"]
    else:
        forms = ["utf-8-sig"]
    for some in (forms, NATIONAL):
        texts = []
        for form in some:
            try:
                text = data.decode(form)
            except UnicodeDecodeError:
                continue
            if not any(c in text for c in "\x00\x01\x02\x03\x04"):
                texts.append(text)
        if texts:
            return max(texts, key=_heads)
    raise RfcalcError("this is not a text", where=where, fix="save it as CSV in UTF-8")


def _heads(text: str) -> int:
    """How many cells of the first rows are known heads of columns."""
    cells = [c.strip(' "') for line in text.splitlines()[:12] for c in re.split(r"[,;\t|]", line[:5000])]
    return sum(column(cell) is not None for cell in cells if not cell.isascii())


def shown(text: str) -> str:
    """A cell in one line that can be shown: control characters become a replacement sign.

    >>> shown("a\\x1b[31m  b")
    'a�[31m b'
    """
    told = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text[:LONGEST])
    return " ".join(told.split())


def grid(text: str, where: str = "table") -> SubmittedTable:
    """The table in a text.

    Raises:
        RfcalcError: there is none, or it is larger than any table of a network.

    >>> grid("layer;rf\\nconv1;3").lines[0].cells
    ('conv1', '3')
    >>> grid("| layer | rf |\\n|---|--:|\\n| conv1 | 3 |").lines[0].cells
    ('conv1', '3')
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > 4 * MOST_ROWS:
        raise LimitError("the table is too long", where=where, why=f"the limit is {MOST_ROWS:,} rows")
    at = next((i for i, line in enumerate(lines) if i and "|" in lines[i - 1] and _rules(line)), 0)
    rows = _markdown(lines, at) if at else _separated(lines, where)
    rows = [row for row in rows if any(row.cells)]
    if len(rows) < 2:
        raise RfcalcError(
            "there is no table",
            where=where,
            why="a table is a line of column names and a line for each layer",
            fix="begin with a line like: layer,output,rf,stride,params",
        )
    if len(rows) > MOST_ROWS:
        raise LimitError("the table is too long", where=where, why=f"the limit is {MOST_ROWS:,} rows")
    if max(len(row.cells) for row in rows) > MOST_COLUMNS:
        raise LimitError("the table is too wide", where=where, why=f"the limit is {MOST_COLUMNS} columns")
    return SubmittedTable(rows[0], tuple(rows[1:]))


def _rules(line: str) -> bool:
    cells = line.strip().removeprefix("|").removesuffix("|").split("|")
    return all(_RULE.fullmatch(cell.strip()) for cell in cells)


def _markdown(lines: list[str], at: int) -> list[TableRow]:
    """The rows of the table whose rule stands at this line, down to the first line that is none."""
    found = []
    for number, line in enumerate(lines[at - 1 :], at):
        if number == at + 1:
            continue
        if "|" not in line:
            break
        body = line.strip().replace("\\|", "\x00")
        body = body.removeprefix("|").removesuffix("|")
        cells = [_LINK.sub("", c.replace("\x00", "|")).replace("\\", "") for c in body.split("|")]
        found.append(TableRow(number, tuple(map(shown, cells))))
    return found


def _separated(lines: list[str], where: str) -> list[TableRow]:
    first = next((line for line in lines if line.strip()), "")
    sign = next((s for s in "\t;,|" if s in first), ",")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # what Excel puts first
        sign, lines = first[4], ["", *lines[1:]]
    try:
        reader = csv.reader((f"{line}\n" for line in lines), delimiter=sign)
        return [TableRow(reader.line_num, tuple(map(shown, _whole(row, sign)))) for row in reader]
    except csv.Error as error:
        raise RfcalcError(f"the table cannot be read: {error}", where=where, why=f"line {reader.line_num}") from None


def _whole(cells: list[str], sign: str) -> list[str]:
    """Cells whose brackets are closed: a shape that was written without quotes, ``(8, 32, 32)``, is one cell again.

    >>> _whole(["conv1", "torch.Size([1", " 8", " 32", " 32])", "3"], ",")
    ['conv1', 'torch.Size([1, 8, 32, 32])', '3']
    """
    found: list[str] = []
    at = 0
    while at < len(cells):
        end, depth = at, _open(cells[at])
        while depth > 0 and end + 1 < len(cells) and _SIZE.fullmatch(cells[end + 1]):
            end += 1
            depth += _open(cells[end])
        if depth:  # never closed, or closed once too often: the cell as it stands
            end = at
        found.append(sign.join(cells[at : end + 1]))
        at = end + 1
    return found


def _open(cell: str) -> int:
    """How many brackets a cell leaves open; negative if it closes some of a cell before."""
    return sum(cell.count(c) for c in "([") - sum(cell.count(c) for c in ")]")
