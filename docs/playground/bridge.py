"""What the page asks of rfcalc, as JSON. Runs in Pyodide; every figure comes from rfcalc itself."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import rfcalc
from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number
from rfcalc.receptive.region import runs
from rfcalc.receptive.unit_walk import UnitWalk
from rfcalc.render import fragment
from rfcalc.render.svg import alone

SLIDERS = ("kernel", "stride", "padding", "dilation")
MOST = 1500  # boxes of a region that are shown one by one
WORK = Path("/work")
state: dict[str, Any] = {}


def networks(_: dict[str, Any]) -> dict[str, Any]:
    """The networks of the literature."""
    return {"networks": rfcalc.networks(), "version": rfcalc.__version__}


def _report(text: str, shape: str | None) -> Any:
    """The network that a text means: a name, notation, a file that was dropped, or pasted text."""
    shape = shape or None
    if text.startswith("file:"):
        return rfcalc.analyze(str(WORK / text[5:]), shape)
    try:
        return rfcalc.analyze(text, shape)
    except RfcalcError as first:
        if "\n" not in text.strip() and "(" not in text and ";" not in text:
            raise
        WORK.mkdir(exist_ok=True)
        (WORK / "pasted.txt").write_text(text, encoding="utf-8")
        try:
            return rfcalc.analyze(str(WORK / "pasted.txt"), shape)
        except RfcalcError:
            if "nn." in text or "Sequential" in text or "\n" in text.strip():
                raise
            raise first from None


def read(request: dict[str, Any]) -> dict[str, Any]:
    """Analyse a text; the table, the nodes, what can be changed in each."""
    report = _report(request["text"], request.get("input"))
    state.update(report=report, text=request["text"], input=request.get("input"))
    nodes = [
        {"name": name, "shape": _dims(shape), "spatial": _plain(shape.spatial)} for name, shape in report.inputs.items()
    ]
    for row in report:
        layer = row.node.layer
        found = {
            "name": row.name,
            "kind": row.kind,
            "notation": row.notation,
            "shape": _dims(row.shape),
            "spatial": _plain(row.shape.spatial),
        }
        if all(hasattr(layer, name) for name in SLIDERS) and not row.node.layer.opaque:
            found["sliders"] = {name: _first(getattr(layer, name)) for name in SLIDERS}
        nodes.append(found)
    totals = report.totals
    return {
        "table": report._repr_html_(),
        "nodes": nodes,
        "title": report.network.title or report.network.name or "",
        "totals": {"params": totals.params, "macs": totals.macs, "values": totals.values},
        "assumptions": list(report.assumptions),
        "shape": str(next(iter(report.inputs.values()))),
    }


def _dims(shape: Any) -> list[Any]:
    return _plain(shape.dims)


def _plain(values: Any) -> list[Any]:
    return [int(n) if is_number(n) else str(n) for n in values]


def _first(value: Any) -> int | None:
    while isinstance(value, tuple):
        value = value[0]
    return value if isinstance(value, int) else None


def change(request: dict[str, Any]) -> dict[str, Any]:
    """The notation of the network with one layer changed; a padding given is the same on all sides."""
    from rfcalc.notation.write import write

    network = state["report"].network
    shapes = {name: str(shape) for name, shape in state["report"].inputs.items()}
    parts = []
    for node in network.nodes:
        layer = node.layer
        if node.name == request["node"]:
            axes = len(layer.kernel)
            values = {k: request[k] for k in SLIDERS if request.get(k) is not None}
            layer = replace(
                layer, **{k: ((v, v),) * axes if k == "padding" else (v,) * axes for k, v in values.items()}
            )
        parts.append((node.name, layer, list(node.inputs)))
    changed = rfcalc.Network.from_nodes(parts, shapes, outputs=list(network.outputs))
    return {"text": write(changed)}


def picture(request: dict[str, Any]) -> dict[str, Any]:
    """A picture in a style, or a chart."""
    options = {k: v for k, v in request.items() if k in ("highlight", "depth", "at", "unit") and v}
    drawing = rfcalc.draw(state["report"], style=request["style"], **options)
    return {"svg": alone(drawing.picture).partition("?>")[2]}


def seen(request: dict[str, Any]) -> dict[str, Any]:
    """What a unit of a node reads of every map before it: the boxes of its region, rows and columns, half-open."""
    report = state["report"]
    network = report.network
    at = network.position(request["node"])
    unit = tuple(request["unit"])
    maps = {}
    names = [*network.inputs, *(node.name for node in network.nodes)]
    for position in range(at):
        if request.get("maps") is not None and names[position] not in request["maps"]:
            continue
        region = UnitWalk(report, at, unit, position).region
        if region.hull is None:
            continue
        boxes = []
        for box in region.boxes:
            rows = runs(box[-2]) if len(box) > 1 else [(0, 0)]
            boxes += [[y0, y1 + 1, x0, x1 + 1] for y0, y1 in rows for x0, x1 in runs(box[-1])]
        if len(boxes) > MOST:
            hull = region.hull
            y0, y1 = hull[-2] if len(hull) > 1 else (0, 0)
            boxes = [[y0, y1 + 1, hull[-1][0], hull[-1][1] + 1]]
        maps[names[position]] = {"boxes": boxes, "size": list(region.size), "support": region.count}
    from rfcalc.report.field_document import told
    from rfcalc.report.field_report import FieldReport

    return {"maps": maps, "told": f"{request['node']}, {told(FieldReport(report, request['node']), unit)}"}


def derivation(request: dict[str, Any]) -> dict[str, Any]:
    """A figure step by step."""
    from rfcalc.derivation.blackboard import document
    from rfcalc.derivation.deriving import derive

    return {"html": fragment(document(derive(state["report"], request.get("node") or None, request["metric"])))}


def formula(request: dict[str, Any]) -> dict[str, Any]:
    """Every figure in symbols."""
    from rfcalc.formulas.table import document

    text = request["text"]
    target = str(WORK / text[5:]) if text.startswith("file:") else text
    return {"html": fragment(document(rfcalc.symbolic(target), "html"))}


def command(request: dict[str, Any]) -> dict[str, Any]:
    """A line of the command line, as the terminal would show it."""
    import shlex

    from rfcalc.cli import run

    words = shlex.split(request["line"])
    words = words[1:] if words[:1] == ["rfcalc"] else words
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = run(words)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    out.flush()
    return {"text": raw.getvalue().decode("utf-8"), "code": code}


def quiz(request: dict[str, Any]) -> dict[str, Any]:
    """The questions of a seed begin: their titles. ``question`` shows one, ``mark`` marks what was typed into it."""
    from rfcalc.teaching.exercises.bank import exercises

    only = {name: request.get(name) or None for name in ("family", "form")}
    level = int(request["difficulty"]) if request.get("difficulty") else None
    state["items"] = exercises(int(request.get("count") or 5), request["seed"], difficulty=level, **only)
    return {"titles": [item.title.replace("`", "") for item in state["items"]]}


def question(request: dict[str, Any]) -> dict[str, Any]:
    """A question of the quiz, as a form."""
    from rfcalc.teaching.exercises import in_page

    item = state["items"][request["number"]]
    return {"html": in_page.question(item), "title": item.title.replace("`", ""), "id": item.id}


def mark(request: dict[str, Any]) -> dict[str, Any]:
    """The marks of what was typed into a question of the quiz."""
    from rfcalc.teaching.exercises import in_page

    return in_page.marked(state["items"][request["number"]], request["typed"])


def ask(text: str) -> str:
    """Answer a request: ``{"what": …}`` gives what its function gives, or an error to show."""
    request = json.loads(text)
    try:
        answer = globals()[request["what"]](request)
    except RfcalcError as error:
        answer = {"error": str(error)}
    except RecursionError:
        answer = {"error": "this is too deep for the browser's stack: use the command line"}
    return json.dumps(answer, default=str)
