"""Files and folders written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rfcalc.core.errors import RfcalcError


@contextmanager
def draft(output: Path, folder: bool = False) -> Iterator[Path]:
    """A draft beside `output`, which takes its place when the block ends well and is gone when it does not.

    >>> from tempfile import mkdtemp
    >>> place = Path(mkdtemp()) / "note.txt"
    >>> with draft(place) as file:
    ...     _ = file.write_text("whole")
    >>> place.read_text()
    'whole'

    Raises:
        RfcalcError: there is no such folder, or the system says no.
    """
    import tempfile
    from shutil import rmtree

    parent = output.absolute().parent
    if not parent.is_dir():
        raise RfcalcError(f"there is no folder {output.parent}", where=str(output), fix="make it first")
    try:
        if folder:
            made = Path(tempfile.mkdtemp(dir=parent, prefix=f".{output.name}."))
        else:
            handle, name = tempfile.mkstemp(dir=parent, prefix=f".{output.name}.", suffix=output.suffix)
            os.close(handle)
            made = Path(name)
        try:
            yield made
            mask = os.umask(0)
            os.umask(mask)
            made.chmod((0o777 if folder else 0o666) & ~mask)
            os.replace(made, output)
        except BaseException:
            rmtree(made, ignore_errors=True) if folder else made.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RfcalcError(f"cannot write: {error.strerror}", where=str(output)) from None
