"""Finds the configuration in a file: a `.keras` archive, a JSON file. Reads no weights and runs nothing.

An archive is a zip with ``config.json`` and ``metadata.json`` beside the weights. Its directory is looked at before it
is read, the configuration is unpacked up to a limit only, and JSON is measured before it is parsed: a file that lies
about its size costs no more than an honest one.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from rfcalc.core.errors import RfcalcError

LARGEST = 32_000_000  # bytes of a configuration; the largest of keras.applications has 1.2 million
MOST_PARTS = 1_000_000  # values in it
DEEPEST = 200
MOST_FILES = 65_535
LARGEST_DIRECTORY = 8_000_000  # bytes of an archive's directory
ENDING = b"PK\x05\x06"


def read_file(path: str) -> Any:
    """The configuration in a file, by its ending.

    Raises:
        RfcalcError: it cannot be read, is no archive, holds no configuration, or is too large.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(8)
            stream.seek(0)
            if head.startswith(b"\x89HDF"):
                raise RfcalcError(
                    "this is an HDF5 file, which is not read",
                    where=path,
                    fix='load it with Keras and save it as an archive: model.save("model.keras")',
                )
            if not head.startswith(b"PK") and not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"[")):
                raise RfcalcError(
                    "this is not a Keras model, or it is damaged",
                    where=path,
                    why="it is neither an archive nor JSON" if head else "it is empty",
                    fix='save it with Keras: model.save("model.keras"), or model.to_json() as a .json file',
                )
            text = _member(stream, path) if head.startswith(b"PK") else _limited(stream, path)
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror or error}", where=path) from None
    return parse(text, path)


def _limited(stream: Any, path: str) -> bytes:
    """What a stream holds, if it is not more than the limit."""
    text: bytes = stream.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise RfcalcError("the configuration is too large", where=path, why=f"the limit is {LARGEST:,} bytes")
    return text


def _member(stream: BinaryIO, path: str) -> bytes:
    """config.json of an archive."""
    _directory(stream, path)
    try:
        with zipfile.ZipFile(stream) as archive:
            try:
                with archive.open("config.json") as member:
                    return _limited(member, path)
            except KeyError:
                raise RfcalcError(
                    "there is no config.json in this archive",
                    where=path,
                    why="a Keras 3 archive has one",
                    fix='save the model with Keras: model.save("model.keras")',
                ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as e:
        raise RfcalcError("this archive cannot be unpacked", where=path, why=str(e)[:200] or None) from None


def _directory(stream: BinaryIO, path: str) -> None:
    """Refuse an archive whose directory alone would be a flood; `zipfile` reads it whole."""
    stream.seek(0, 2)
    end = stream.tell()
    start = max(0, end - 65_557)
    stream.seek(start)
    tail = stream.read()
    at = tail.rfind(ENDING)
    if at < 0 or len(tail) - at < 22:
        raise RfcalcError(
            "this archive is cut off or damaged",
            where=path,
            why="its directory, which stands at its end, is missing",
            fix='save it again: model.save("model.keras")',
        )
    files, size = struct.unpack("<H L", tail[at + 10 : at + 12] + tail[at + 12 : at + 16])
    if (files == 0xFFFF or size == 0xFFFFFFFF) and at >= 20:  # the larger form, which is pointed to
        (where,) = struct.unpack("<Q", tail[at - 12 : at - 4])
        if tail[at - 20 : at - 16] == b"PK\x06\x07" and where + 56 <= end:
            stream.seek(where)
            files, size = struct.unpack("<Q Q", stream.read(56)[32:48])
    stream.seek(0)
    if files > MOST_FILES or size > LARGEST_DIRECTORY:
        raise RfcalcError(
            "this archive has too many files",
            where=path,
            why=f"{files:,}, a directory of {size:,} bytes; the limits are {MOST_FILES:,} and {LARGEST_DIRECTORY:,}",
        )


def parse(text: str | bytes, source: str) -> Any:
    """JSON as a value, measured before it is parsed.

    Raises:
        RfcalcError: it is not JSON, or nests deeper or holds more than any model.

    >>> parse('{"class_name": "Sequential"}', "config")
    {'class_name': 'Sequential'}
    """
    try:
        found = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise RfcalcError("this is not a text in UTF-8", where=source, why=f"byte {error.start}") from None
    if len(found) > LARGEST:
        raise RfcalcError("the configuration is too large", where=source, why=f"the limit is {LARGEST:,} bytes")
    if found.count(",") + found.count("[") + found.count("{") > MOST_PARTS:
        raise RfcalcError("the configuration holds too much", where=source, why=f"the limit is {MOST_PARTS:,} values")
    try:
        data = json.loads(found)
    except RecursionError:
        raise RfcalcError("the configuration is nested too deeply", where=source) from None
    except ValueError as error:
        raise RfcalcError("this is not JSON", where=source, why=str(error)[:200]) from None
    _shallow(data, source)
    return data


def _shallow(data: Any, source: str) -> None:
    """Refuse what nests deeper than models do, so that walking it needs no care."""
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise RfcalcError(
                "the configuration is nested too deeply", where=source, why=f"the limit is {DEEPEST} levels"
            )
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [v for v in value.values() if isinstance(v, (dict, list))]
            elif isinstance(value, list):
                below += [v for v in value if isinstance(v, (dict, list))]
        level = below
