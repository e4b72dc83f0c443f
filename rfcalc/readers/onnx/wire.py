"""The protobuf wire format, as much of it as ONNX files use: fields of a message, without copying what is skipped.

A message is a range of the file. Its fields are read one after another; of a length-delimited field only the range is
given, so that tensors of any size cost nothing. Nothing is taken on trust: a length beyond its message, a varint of
more than ten bytes, a group or an unknown wire type is refused, and every field read is paid for from a budget, so that
no file keeps the reader busy for long. Imports `errors` only.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from
from typing import Any, TypeAlias

from rfcalc.core.errors import LimitError, RfcalcError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_FIELDS = 8_000_000
MOST_TEXT = 1 << 16  # bytes of a name

Span: TypeAlias = "tuple[int, int]"


class Wire:
    """The fields of messages in one buffer (bytes or a memory map).

    >>> [(number, value) for number, _, value in Wire(b"\\x08\\x96\\x01").fields((0, 3))]
    [(1, 150)]
    """

    __slots__ = ("data", "left")

    def __init__(self, data: Any) -> None:
        self.data = data
        self.left = MOST_FIELDS

    def spend(self, count: int) -> None:
        """Pay for `count` fields.

        Raises:
            LimitError: the budget is used up.
        """
        self.left -= count
        if self.left < 0:
            raise LimitError("the file has too many fields", why=f"the limit is {MOST_FIELDS:,}")

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """An unsigned number (at most 64 bits), and where the next byte stands."""
        data = self.data
        result = shift = 0
        while at < end:
            byte = data[at]
            at += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result & 0xFFFFFFFFFFFFFFFF, at
            shift += 7
            if shift > 63:
                raise broken("a number of more than ten bytes", at)
        raise broken("a number is cut off", at)

    def fields(self, span: Span) -> Iterator[tuple[int, int, Any]]:
        """(field number, wire type, value) of each field of a message; a range for what is length-delimited.

        Raises:
            RfcalcError: what cannot be a message.
        """
        at, end = span
        data, varint = self.data, self.varint
        count = 0
        while at < end:
            count += 1
            key = data[at]
            if key < 0x80:
                at += 1
            else:
                key, at = varint(at, end)
            kind = key & 7
            number = key >> 3
            if number == 0 or number > 0x1FFFFFFF:
                raise broken(f"there is no field {number}", at)
            value: Any
            if kind == BYTES:
                if at < end and data[at] < 0x80:
                    length = data[at]
                    at += 1
                else:
                    length, at = varint(at, end)
                stop = at + length
                if stop > end:
                    raise broken(
                        f"a field of {length:,} bytes goes beyond its message, which has {end - at:,} left", at
                    )
                value = (at, stop)
                at = stop
            elif kind == VARINT:
                value, at = varint(at, end)
            elif kind in (FIXED32, FIXED64):
                value = (at, at + (4 if kind == FIXED32 else 8))
                at = value[1]
                if at > end:
                    raise broken("a number is cut off", at)
            else:
                raise broken(f"the wire type {kind} is not used by ONNX", at)
            if count & 0xFF == 0:
                self.spend(0x100)
            yield number, kind, value
        self.spend((count & 0xFF) + 1)

    def text(self, span: Span) -> str:
        """A name.

        Raises:
            RfcalcError: longer than 65,536 bytes, or not UTF-8.
        """
        start, end = span
        if end - start > MOST_TEXT:
            raise broken(f"a name of {end - start:,} bytes", start)
        if end - start > 1:
            self.spend(1 + ((end - start) >> 6))
        try:
            return str(bytes(self.data[start:end]), "utf-8")
        except UnicodeDecodeError:
            raise broken("a name is not UTF-8", start) from None

    def integers(self, kind: int, value: Any, into: list[int]) -> None:
        """Append a repeated whole number (signed, 64 bits), packed or not."""
        if kind == VARINT:
            into.append(signed(value))
        elif kind == BYTES:
            at, end = value
            self.spend(end - at)
            varint = self.varint
            while at < end:
                number, at = varint(at, end)
                into.append(signed(number))
        else:
            raise broken("a whole number has another wire type", 0)

    def floats(self, kind: int, value: Any, into: list[float], double: bool = False) -> None:
        """Append a repeated floating-point number, packed or not."""
        size, form = (8, "<d") if double else (4, "<f")
        if kind not in (BYTES, FIXED64 if double else FIXED32):
            raise broken("a floating-point number has another wire type", 0)
        start, end = value
        self.spend((end - start) // size)
        raw = bytes(self.data[start:end])
        if len(raw) % size:
            raise broken("floating-point numbers are cut off", start)
        into.extend(unpack_from(form, raw, i)[0] for i in range(0, len(raw), size))


def signed(value: int) -> int:
    """A varint as the two's complement number that it stands for.

    >>> signed(2**64 - 1), signed(7)
    (-1, 7)
    """
    return value - (1 << 64) if value >> 63 else value


def span_of(kind: int, value: Any) -> Span:
    """The range of a field that must be length-delimited."""
    if kind != BYTES:
        raise broken("a text or message has another wire type", 0)
    start, end = value
    return start, end


def number_of(kind: int, value: Any) -> int:
    """The value of a field that must be a whole number."""
    if kind != VARINT:
        raise broken("a whole number has another wire type", 0)
    return signed(value)


def broken(what: str, at: int) -> RfcalcError:
    """What to say of bytes that are no ONNX file."""
    where = f"around byte {at:,}: {what}" if at else what
    return RfcalcError(
        "this is not an ONNX file, or it is damaged",
        why=where,
        fix="export it again; `python -c 'import onnx; onnx.checker.check_model(\"model.onnx\")'` says more",
    )
