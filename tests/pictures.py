"""Reads a drawn SVG back, and says what is wrong with it: overlaps, lines through boxes, figures, edges."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree import ElementTree

from rfcalc.drawing.letters import SIZE, width

SVG = "{http://www.w3.org/2000/svg}"


EXACT = 1e-6  # coordinates have two decimals; sums of them are floating point


class Rect(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Rect) -> bool:
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > EXACT and down > EXACT

    def holds(self, other: Rect) -> bool:
        return (
            self.left - EXACT <= other.left
            and self.top - EXACT <= other.top
            and other.right <= self.right + EXACT
            and other.bottom <= self.bottom + EXACT
        )


CELL = 128.0


class Placed:
    """Rectangles by the cells of a grid that they touch, so that neighbours are found without trying all."""

    def __init__(self, rects: list[Rect]) -> None:
        self.cells: dict[tuple[int, int], list[int]] = {}
        for i, rect in enumerate(rects):
            for cell in self._touched(rect):
                self.cells.setdefault(cell, []).append(i)

    def _touched(self, rect: Rect) -> Iterator[tuple[int, int]]:
        for x in range(int((rect.left - 1) // CELL), int((rect.right + 1) // CELL) + 1):
            for y in range(int((rect.top - 1) // CELL), int((rect.bottom + 1) // CELL) + 1):
                yield x, y

    def near(self, rect: Rect) -> list[int]:
        """The numbers of the rectangles that may meet this one, in order."""
        return sorted({i for cell in self._touched(rect) for i in self.cells.get(cell, ())})


class Drawn(NamedTuple):
    frame: Rect
    boxes: list[tuple[Rect, list[str]]]
    lines: list[tuple[list[tuple[float, float]], tuple[int, int]]]
    texts: list[tuple[Rect, str]]
    title: str
    description: str
    frames: list[Rect]


def parsed(text: str) -> Drawn:
    root = ElementTree.fromstring(text.encode())
    _, _, wide, high = map(float, root.attrib["viewBox"].split())
    boxes = []
    for e in root.iter(f"{SVG}rect"):
        if e.get("class") != "paper":
            x, y, w, h = (float(e.attrib[k]) for k in ("x", "y", "width", "height"))
            right, up = map(float, e.get("data-deep", "0 0").split())
            boxes.append((Rect(x, y - up, x + w + right, y + h), e.get("data-nodes", "").split("\n")))
    lines = []
    for e in root.iter(f"{SVG}polyline"):
        points = [tuple(map(float, p.split(","))) for p in e.attrib["points"].split()]
        joined = e.get("data-joins", "").split()
        if not joined:
            continue
        lines.append((points, (int(joined[0]), int(joined[1]))))
    texts = [_text(e) for e in root.iter(f"{SVG}text")]
    frames = []
    for e in root.iter(f"{SVG}polygon"):
        xs, ys = zip(*(map(float, p.split(",")) for p in e.attrib["points"].split()), strict=True)
        frames.append(Rect(min(xs), min(ys), max(xs), max(ys)))
    title, description = root.findtext(f"{SVG}title") or "", root.findtext(f"{SVG}desc") or ""
    return Drawn(Rect(0, 0, wide, high), boxes, lines, texts, title, description, frames)  # type: ignore[arg-type]


def _text(e: Any) -> tuple[Rect, str]:
    x, y, told = float(e.attrib["x"]), float(e.attrib["y"]), e.text or ""
    size = width(told) * (1.1 if "strong" in e.attrib["class"] else 1)
    left = x - {"start": 0, "middle": size / 2, "end": size}[e.attrib["text-anchor"]]
    if turn := e.get("transform"):
        assert turn == f"rotate(-90 {e.attrib['x']} {e.attrib['y']})" and e.attrib["text-anchor"] == "end"
        return Rect(x - 0.8 * SIZE, y, x + 0.25 * SIZE, y + size), told
    base = y + (SIZE * 0.35 if e.get("dominant-baseline") else 0)
    return Rect(left, base - 0.8 * SIZE, left + size, base + 0.25 * SIZE), told


def through(a: tuple[float, float], b: tuple[float, float], rect: Rect) -> bool:
    """Whether a segment goes through the inside of a rectangle (Liang and Barsky's clipping)."""
    low, high = 0.0, 1.0
    for start, end, least, most in ((a[0], b[0], rect.left, rect.right), (a[1], b[1], rect.top, rect.bottom)):
        step = end - start
        if abs(step) < 1e-9:
            if not least < start < most:
                return False
            continue
        one, two = sorted(((least - start) / step, (most - start) / step))
        low, high = max(low, one), min(high, two)
    return high - low > 1e-9


def geometry(drawn: Drawn) -> list[str]:
    """What overlaps, crosses or leaves the frame."""
    found = []
    places = [rect for rect, _ in drawn.boxes]
    found += [f"{r} leaves the frame" for r in [*places, *(t for t, _ in drawn.texts)] if not drawn.frame.holds(r)]
    for points, _ in drawn.lines:
        found += [f"a line leaves the frame at {p}" for p in points if not drawn.frame.holds(Rect(*p, *p))]
    for kind, rects in (("boxes", places), ("texts", [t for t, _ in drawn.texts])):
        among = Placed(rects)
        for i, one in enumerate(rects):
            for j in among.near(one):
                if j > i and one.meets(rects[j]):
                    found.append(f"two {kind} overlap: {one}, {rects[j]}")
    holders = [*places, *drawn.frames]
    held = Placed(holders)
    for text, told in drawn.texts:
        for box in map(holders.__getitem__, held.near(text)):
            if text.meets(box) and not box.holds(text):
                found.append(f"{told!r} leaves its box")
    among = Placed(places)
    for f in drawn.frames:
        for r in map(places.__getitem__, among.near(f)):
            if f.meets(r) and not f.holds(r):
                found.append(f"a box is cut by {f}")
    for points, joins in drawn.lines:
        for a, b in pairwise(points):
            along = Rect(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
            for i in among.near(along):
                if i not in joins and through(a, b, places[i]):
                    found.append(f"a line from box {joins[0]} to {joins[1]} runs through box {i}")
        for end, box in ((points[0], places[joins[0]]), (points[-1], places[joins[1]])):
            if not box.holds(Rect(*end, *end)):
                found.append(f"a line ends beside its box: {joins}")
    return found


HIGH = 170.0  # more than the tallest map: texts stand below the tallest of a row


def _column(box: Rect) -> Rect:
    """A body and its column: what is thin has texts beside its middle."""
    return Rect(
        min(box.left, (box.left + box.right) / 2 - 14),
        box.top,
        max(box.right, (box.left + box.right) / 2 + 14),
        box.bottom,
    )


def figures(drawn: Drawn, told: dict[str, Any], style: str = "stages") -> list[str]:
    """What the picture says otherwise than the report's JSON: nodes, links, output shapes, parameters."""
    found = []
    shown = {"params"} if style in ("stages", "graph") else set()
    layers = {layer["name"]: layer for layer in told["layers"]}
    names = [name for _, nodes in drawn.boxes for name in nodes]
    if sorted(names) != sorted([*told["inputs"], *layers]):
        return ["the nodes of the boxes are not those of the report"]
    where = {name: i for i, (_, nodes) in enumerate(drawn.boxes) for name in nodes}
    read = {(where[r], where[name]) for name, layer in layers.items() for r in layer["inputs"]}
    if {(a, b) for a, b in read if a < b} != {joins for _, joins in drawn.lines}:
        found.append("the lines are not the links of the report")
    written = Placed([rect for rect, _ in drawn.texts])
    for box, nodes in drawn.boxes:
        below = 16 if style != "unet" and style != "blocks" else HIGH
        column = _column(box)._replace(bottom=box.bottom + below)
        texts = [text for rect, text in map(drawn.texts.__getitem__, written.near(column)) if rect.meets(column)]
        shape = told["inputs"].get(nodes[-1]) or layers[nodes[-1]]["output_shape"]
        if "x".join(map(str, shape)) not in texts:
            found.append(f"{nodes[-1]}: {shape} is not in {texts}")
        params = sum(layers[name]["params"] for name in nodes if name in layers)
        if (
            "params" in shown
            and params
            and not any(t == f"{params:,}" or f" {t}".endswith(f" {params:,} params") for t in texts)
        ):
            found.append(f"{nodes[-1]}: {params:,} is not in {texts}")
    return found
