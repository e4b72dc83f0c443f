"""ONNX files written by hand, byte by byte, so that the reader's tests need no other reader or writer of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def text(field: int, value: str) -> bytes:
    return message(field, value.encode())


def tensor(
    name: str, dims: Sequence[int], values: Sequence[Any] | None = None, dtype: int = 1, outside: str = ""
) -> bytes:
    """A tensor; without values its bytes are missing, which the reader must not mind."""
    content = b"".join(number(1, n) for n in dims) + number(2, dtype) + text(8, name)
    if outside:
        content += message(13, text(1, "location") + text(2, outside)) + number(14, 1)
    if values is not None:
        form = {1: "f", 7: "q", 9: "?", 11: "d"}[dtype]
        content += message(9, struct.pack(f"<{len(values)}{form}", *values))
    return content


def shapes(*values: int) -> bytes:
    """A tensor of whole numbers, as shape computations have them; the name is set by `model`."""
    return tensor("", [len(values)], values, 7)


def value(name: str, dims: Sequence[int | str | None] | None, dtype: int = 1) -> bytes:
    kind = number(1, dtype)
    if dims is not None:
        each = [number(1, n) if isinstance(n, int) else text(2, n) if n else b"" for n in dims]
        kind += message(2, b"".join(message(1, d) for d in each))
    return text(1, name) + message(2, message(1, kind))


def attribute(name: str, given: Any) -> bytes:
    content = text(1, name)
    if isinstance(given, float):
        return content + varint(2 << 3 | 5) + struct.pack("<f", given) + number(20, 1)
    if isinstance(given, int):
        return content + number(3, given) + number(20, 2)
    if isinstance(given, str):
        return content + text(4, given) + number(20, 3)
    if isinstance(given, bytes):
        return content + message(5, given) + number(20, 4)
    if isinstance(given, Branch):
        return content + message(6, given.content) + number(20, 5)
    return content + b"".join(number(8, n) for n in given) + number(20, 7)


class Branch:
    """A graph as an attribute."""

    def __init__(self, content: bytes) -> None:
        self.content = content


def node(op: str, inputs: str, outputs: str, name: str = "", domain: str = "", **attributes: Any) -> bytes:
    """An operator; names are separated by spaces, `-` is an input that is left out."""
    content = b"".join(text(1, "" if n == "-" else n) for n in inputs.split())
    content += b"".join(text(2, n) for n in outputs.split())
    content += text(3, name) + text(4, op) + (text(7, domain) if domain else b"")
    return content + b"".join(message(5, attribute(k, v)) for k, v in attributes.items())


def graph(
    nodes: Iterable[bytes],
    inputs: Iterable[bytes] = (),
    outputs: Iterable[bytes] = (),
    tensors: Iterable[bytes] = (),
    infos: Iterable[bytes] = (),
) -> bytes:
    parts = [(1, nodes), (5, tensors), (11, inputs), (12, outputs), (13, infos)]
    return b"".join(message(field, content) for field, contents in parts for content in contents)


def model(
    nodes: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    tensors: Iterable[bytes] = (),
    infos: Iterable[bytes] = (),
    opset: int = 17,
    producer: str = "hand",
    functions: Iterable[bytes] = (),
) -> bytes:
    """A file."""
    head = number(1, 8) + text(2, producer) + message(7, graph(nodes, inputs, outputs, tensors, infos))
    return head + message(8, number(2, opset)) + b"".join(message(25, f) for f in functions)


def function(name: str, inputs: str, outputs: str, nodes: Iterable[bytes], domain: str = "own") -> bytes:
    """An operator that the file defines itself."""
    content = (
        text(1, name) + b"".join(text(4, n) for n in inputs.split()) + b"".join(text(5, n) for n in outputs.split())
    )
    return content + b"".join(message(7, n) for n in nodes) + text(10, domain)


def chain(*nodes: bytes, given: Sequence[int | str | None] = (1, 3, 32, 32), **more: Any) -> bytes:
    """A file with the input x and the output y, whose shape it does not say."""
    return model(nodes, [value("x", given)], [value("y", None)], **more)
