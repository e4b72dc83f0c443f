"""Files and folders: read with clear errors, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rfcalc.core.atomic import draft
from rfcalc.core.errors import RfcalcError


def save(made: bytes | dict[str, str], output: Path) -> None:
    """Write one file of bytes, or a new folder of texts by their path.

    Raises:
        RfcalcError: the folder exists already, or nothing can be written there.
    """
    if isinstance(made, bytes):
        with draft(output) as file:
            file.write_bytes(made)
        return
    if output.exists():
        raise RfcalcError("there is something of this name already", where=str(output), fix="name a new folder")
    with draft(output, folder=True) as folder:
        for path, text in made.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def load(path: Path) -> str:
    """The text of a file.

    Raises:
        RfcalcError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise RfcalcError("this is not UTF-8 text", where=str(path)) from None
