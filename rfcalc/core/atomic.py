"""Files and folders written whole or not at all."""

from __future__ import annotations

import os
import stat
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

    said = output
    try:
        before = said.stat().st_mode if said.exists() else None
        if before is not None and not folder and stat.S_ISDIR(before):
            raise RfcalcError("this is a folder", where=str(said), fix="name a file in it")
        if before is not None and not before & 0o222:
            raise RfcalcError("the file is read-only", where=str(said), fix="name another file, or allow writing to it")
        if before is not None and not (stat.S_ISREG(before) or stat.S_ISDIR(before)):
            with tempfile.TemporaryDirectory() as place:  # a device or a pipe: written through, when all is there
                through = Path(place) / said.name
                yield through
                with said.open("wb") as device:
                    device.write(through.read_bytes())
            return
        output = said.resolve()  # what a link leads to is written, the link stays
        parent = output.parent
        if not parent.is_dir():
            raise RfcalcError(
                f"there is no folder {parent if said.is_symlink() else said.parent}",
                where=str(said),
                fix="make it first",
            )
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
            made.chmod((0o777 if folder else 0o666) & ~mask if before is None else stat.S_IMODE(before))
            os.replace(made, output)
        except BaseException:
            rmtree(made, ignore_errors=True) if folder else made.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RfcalcError(f"cannot write: {error.strerror or error}", where=str(said)) from None
    except RuntimeError as error:  # links that lead to one another
        raise RfcalcError(f"cannot write: {error}", where=str(said)) from None
