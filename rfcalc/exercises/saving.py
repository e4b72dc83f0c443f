"""Files and folders: read with clear errors, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from shutil import rmtree

from rfcalc.errors import RfcalcError


def save(made: bytes | dict[str, str], output: Path) -> None:
    """Write one file of bytes, or a new folder of texts by their path.

    Raises:
        RfcalcError: the folder exists already, or nothing can be written there.
    """
    if not output.absolute().parent.is_dir():
        raise RfcalcError(f"there is no folder {output.parent}", where=str(output), fix="make it first")
    try:
        if isinstance(made, bytes):
            _file(made, output)
        else:
            _folder(made, output)
    except OSError as error:
        raise RfcalcError(f"cannot write: {error.strerror}", where=str(output)) from None


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


def _file(made: bytes, output: Path) -> None:
    handle, draft = tempfile.mkstemp(dir=output.absolute().parent, prefix=f".{output.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(made)
        os.chmod(draft, 0o666 & ~_mask())
        os.replace(draft, output)
    except BaseException:
        os.unlink(draft)
        raise


def _folder(made: dict[str, str], output: Path) -> None:
    if output.exists():
        raise RfcalcError("there is something of this name already", where=str(output), fix="name a new folder")
    draft = Path(tempfile.mkdtemp(dir=output.absolute().parent, prefix=f".{output.name}."))
    try:
        for path, text in made.items():
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        os.chmod(draft, 0o777 & ~_mask())
        os.replace(draft, output)
    except BaseException:
        rmtree(draft, ignore_errors=True)
        raise


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
