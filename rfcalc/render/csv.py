"""CSV (RFC 4180, but lines end with a newline alone): exact figures, no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import printable
from rfcalc.report.document import Document, Table, words

if TYPE_CHECKING:
    from rfcalc.render import Look

_NUMBER = re.compile(r"[-+]?\d[\d,._/x×-]*([eE][-+]?\d+)?%?")


def escape(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: texts that begin like one get an apostrophe; numbers do not.

    >>> escape("=1+1"), escape("conv1"), escape(-1), escape("-3"), escape(None), escape("a\\x1b[0m")
    ("'=1+1", 'conv1', -1, '-3', '', 'a\\\\x1b[0m')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    risky = value.lstrip()[:1] in tuple("=+-@|%\uff1d\uff0b\uff0d\uff20") or value[:1] in ("\t", "\r", "\n")
    return f"'{printable(value)}" if risky and not _NUMBER.fullmatch(value) and value.strip() else printable(value)


def render(document: Document, look: Look) -> str:
    """The document's records; else its tables (an empty line between two); else the entries of its data."""
    from csv import writer
    from io import StringIO

    out = StringIO()
    write = writer(out, lineterminator="\n")
    for i, (heads, rows) in enumerate(_parts(document)):
        if i:
            out.write("\n")
        write.writerow(map(escape, heads))
        write.writerows(map(escape, row) for row in rows)
    return out.getvalue().rstrip("\n")


def _parts(document: Document) -> Iterator[tuple[Sequence[str], Iterator[Sequence[Any]]]]:
    records = document.table_records()
    tables = [s for s in document.sections if isinstance(s, Table)]
    if records is not None:
        yield records[0], iter(records[1])
    elif tables:
        for table in tables:
            heads = [column.name or column.title for column in table.columns]
            yield heads, ([words(c.text) if c.value is None else c.value for c in line.cells] for line in table.lines)
    else:
        yield ("name", "value"), iter(list(_entries("", document.to_dict())))


def _entries(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a dictionary, by their path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entries(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _entries(f"{path}[{i}]", inner)
    else:
        yield path, value
