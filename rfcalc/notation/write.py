"""Prints expressions and networks as notation that reads back as an equal one.

Short networks take one line; longer ones are broken at their stages, groups and steps.
"""

from __future__ import annotations

import re
from json import dumps
from typing import NamedTuple

from rfcalc.core.errors import NotationError
from rfcalc.core.expr import Block, Expr, Named, Parallel, Ref, Repeat, Series, Shared, Side, Stage
from rfcalc.core.layer import Layer
from rfcalc.core.syntax import number
from rfcalc.graph.network import Network
from rfcalc.notation.header import write_shape

WIDTH = 100
MOST_SIDE_BY_SIDE = 6
MOST_IN_A_ROW = 60  # characters before a layer that folds joins the row of the layer before it
_LABEL = re.compile(r"[^\W][\w./-]*$")
_SIGNS = {"multiply": "*", "add": "+", "concat": "|"}


class _Piece(NamedTuple):
    """A printed part: on one line `flat`; broken, `head`, the `parts` with `sign` between them, `tail`.

    `atom`: it may stand beside others without parentheses; `repeats`: it ends with a count, which takes in what stands
    beside it.
    """

    flat: str
    head: str = ""
    parts: tuple[_Piece, ...] = ()
    sign: str = ""
    tail: str = ""
    kind: str = "atom"  # atom | repeat | series | sum


def write(target: Expr | Network, width: int | None = WIDTH) -> str:
    """The notation of an expression or network; None for a width puts the chain on one line.

    >>> from rfcalc import Conv, MaxPool, Network, ReLU
    >>> print(write(Network((Conv(64, 3, padding=1) >> ReLU()) * 2 >> MaxPool(2), "3x32x32", name="toy")))
    name: toy
    input: 3x32x32
    conv3-64 relu x2 > maxpool2
    """
    if isinstance(target, Network):
        return "\n".join([*_header(target), write(target.expr, width)])
    piece = _piece(target)
    return piece.flat if width is None else "\n".join(_lines(piece, width, 0))


def label(text: str) -> str:
    """A name as it stands in the notation: bare where it can be.

    >>> label("conv1_1"), label("block 1")
    ('conv1_1', '"block 1"')
    """
    return text if _LABEL.match(text) and not text.endswith("\n") else dumps(text, ensure_ascii=False)


def _header(network: Network) -> list[str]:
    lines = []
    for key in ("name", "title", "citation"):
        text = getattr(network, key)
        if text:
            plain = text == text.strip() and not re.search(r'[;"\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029#]', text)
            lines.append(f"{key}: {text if plain else dumps(text, ensure_ascii=False)}")
    told = {name: write_shape(shape) for name, shape in network.inputs.items()}
    if list(told) != ["input"]:
        lines.append("inputs: " + ", ".join(f"{_name(n)}={s}" for n, s in told.items()))
    elif told["input"] != "?":
        lines.append(f"input: {told['input']}")
    if told_outputs(network):
        lines.append("outputs: " + ", ".join(map(_name, network.outputs)))
    return lines


def told_outputs(network: Network) -> bool:
    """Whether a network's outputs have to be said: they are not simply its last layer."""
    return network.outputs != (network.nodes[-1].name,) or not _ends_in_layer(network.expr)


def _name(text: str) -> str:
    return label(text) if text != "?" else dumps(text)


def _ends_in_layer(expr: Expr) -> bool:
    """Whether the value of an expression is that of its last layer."""
    while True:
        if isinstance(expr, Series):
            if not expr.items:
                return False
            expr = expr.items[-1]
        elif isinstance(expr, (Repeat, Named, Block, Stage, Shared)):
            expr = expr.body
        else:
            return isinstance(expr, (Layer, Parallel))


def _piece(expr: Expr) -> _Piece:
    """One expression, printed for a place in a chain; one call a level of nesting."""
    if isinstance(expr, Layer):
        return _Piece(expr.notation(exact=True))
    if isinstance(expr, Series):
        return _series(expr)
    if isinstance(expr, Parallel):
        return _parallel(expr)
    if isinstance(expr, Ref):
        return _Piece(f"@{label(expr.target)}")
    if isinstance(expr, Repeat):
        inner = _piece(expr.body)
        count = f" x{number(expr.times)}"
        if expr.index is not None:
            count += f":{expr.index if expr.index.isidentifier() else dumps(expr.index)}"
        if inner.kind in ("sum", "series"):
            if inner.kind == "series" and _beside(inner):
                return _Piece(_side_by_side(inner) + count, kind="repeat")
            inner = _group("(", inner, ")")
        return _wrap("", inner, count)._replace(kind="repeat")
    if isinstance(expr, (Block, Stage)):
        opening, closing = "{}" if isinstance(expr, Block) else "[]"
        return _group(label(expr.label) + opening, _piece(expr.body), closing)
    if isinstance(expr, Side):
        return _group("side(", _piece(expr.body), ")")
    if isinstance(expr, Named):
        inner = _atom(_piece(expr.body))
        return _wrap(f"{label(expr.label)}=", inner, "")
    if isinstance(expr, Shared):
        inner = _piece(expr.body)
        inner = inner if inner.kind == "atom" and not isinstance(expr.body, Named) else _group("(", inner, ")")
        return _wrap("", inner, f" ~{label(expr.label)}")
    raise NotationError(f"{expr!r} has no notation")


def _series(expr: Series) -> _Piece:
    items = expr.items
    parts: list[_Piece] = []
    for item in items:
        piece = _piece(item)
        if piece.kind == "series" and piece.parts:  # a chain that stays a unit
            piece = _group("series(", piece, ")")
        layer = item.body if isinstance(item, Named) else item
        joins = parts and getattr(layer, "folds", False) and piece.kind == "atom" and parts[-1].kind in ("atom", "row")
        if joins and len(parts[-1].flat) <= MOST_IN_A_ROW:
            parts[-1] = _Piece(f"{parts[-1].flat} {piece.flat}", kind="row")
        else:
            parts.append(piece)
    if len(items) < 2:
        return _group("series(", _Piece(" > ".join(p.flat for p in parts), parts=tuple(parts), sign=" >"), ")")
    return _Piece(" > ".join(p.flat for p in parts), parts=tuple(parts), sign=" >", kind="series")


def _parallel(expr: Parallel) -> _Piece:
    sign = _SIGNS.get(expr.merge.kind)
    if sign is None or len(expr.branches) < 2 or expr.merge != type(expr.merge)():
        branches = tuple(_piece(b) for b in expr.branches)
        flat = f"{{{', '.join(b.flat for b in branches)}}}"
        return _Piece(
            f"{flat} {expr.merge.notation(exact=True)}", "{", branches, ",", f"}} {expr.merge.notation(True)}"
        )
    parts = tuple(_branch(_piece(b)) for b in expr.branches)
    return _Piece(f" {sign} ".join(p.flat for p in parts), parts=parts, sign=f" {sign}", kind="sum")


def _branch(piece: _Piece) -> _Piece:
    """A branch between signs: items side by side, or a group."""
    if piece.kind == "series" and _beside(piece):
        return _Piece(_side_by_side(piece), kind="row")
    return _group("(", piece, ")") if piece.kind in ("series", "sum") else piece


def _atom(piece: _Piece) -> _Piece:
    return piece if piece.kind == "atom" else _group("(", piece, ")")


def _beside(series: _Piece) -> bool:
    """Whether a chain is so short and plain that its items may stand side by side."""
    return max(len(series.parts), len(series.flat) // 12) <= MOST_SIDE_BY_SIDE and all(
        p.kind in ("atom", "row") and not p.parts for p in series.parts
    )


def _side_by_side(series: _Piece) -> str:
    return " ".join(p.flat for p in series.parts)


def _group(head: str, inner: _Piece, tail: str) -> _Piece:
    parts = inner.parts if not inner.head and not inner.tail and inner.parts else (inner,)
    sign = inner.sign if parts is inner.parts else ""
    return _Piece(f"{head}{inner.flat}{tail}", head, parts, sign, tail)


def _wrap(before: str, inner: _Piece, after: str) -> _Piece:
    return inner._replace(flat=f"{before}{inner.flat}{after}", head=before + inner.head, tail=inner.tail + after)


def _lines(piece: _Piece, width: int, indent: int) -> list[str]:
    """The piece in lines of at most this width where that is possible."""
    if len(piece.flat) + indent <= width or not piece.parts:
        return [" " * indent + piece.flat]
    nested = bool(piece.head or piece.tail)
    inner = indent + 2 if nested else indent
    lines = [" " * indent + piece.head] if nested else []
    row = ""
    last = len(piece.parts) - 1
    stages = any(p.head and len(p.flat) > width // 2 for p in piece.parts)
    for i, part in enumerate(piece.parts):
        sign = piece.sign if i < last else ""
        if row and (stages or len(row) + len(part.flat) + len(sign) + 1 > width):
            lines.append(row)
            row = ""
        if row:
            row += f" {part.flat}{sign}"
        else:
            *before, row = _lines(part, width - len(sign), inner)
            lines += before
            row += sign
            if before:
                lines.append(row)
                row = ""
    lines += [row] if row else []
    return [*lines, " " * indent + piece.tail] if nested else lines
