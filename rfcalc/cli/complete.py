"""What the shell offers when a word is completed: names of networks, columns, formats, styles, dtypes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

MODELS = (".onnx", ".keras", ".toml", ".json", ".cfg", ".txt")
FORMS = {
    "notation": "the papers' notation",
    "spec": "a spec file in TOML",
    "json": "the same as JSON",
    "torch": "PyTorch source that does not need rfcalc",
}


def _beginning(incomplete: str, known: Iterable[str]) -> list[str]:
    from rfcalc.core import fold

    start = fold(incomplete)
    return [name for name in known if fold(name).startswith(start)]


def networks(incomplete: str) -> list[str]:
    """Networks of the zoo; files that hold one; what a file of code defines, which is parsed and never run."""
    from rfcalc import zoo

    path, sign, begun = incomplete.partition(".py:")
    if sign:
        from rfcalc.readers.user_code import defined

        return [f"{path}.py:{name}" for name in defined(f"{path}.py") if name.startswith(begun)]
    return [*_beginning(incomplete, zoo.networks()), *_files(incomplete)]


def _files(incomplete: str) -> list[str]:
    """Folders, and files that hold networks; of code, with the sign that its objects stand behind."""
    import os

    folder, name = os.path.split(incomplete)
    found = []
    with suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if not entry.name.startswith(name) or (entry.name.startswith(".") and not name):
                continue
            path = os.path.join(folder, entry.name)
            if entry.is_dir():
                found.append(path + os.sep)
            elif entry.name.endswith(".py"):
                found.append(f"{path}:")
            elif entry.name.endswith(MODELS):
                found.append(path)
    return sorted(found)[:200]


def nodes(context: Any, incomplete: str) -> list[str]:
    """Nodes, stages and blocks of the network that stands before, where that is read without running code."""
    from rfcalc.core.errors import RfcalcError

    words = [*(context.params.get("target") or "",), *context.args]
    text = context.params.get("target") or next((w for w in words if isinstance(w, str) and w), "")
    if not text or ".py:" in text or text.startswith("py:") or text == "-":
        return []
    try:
        from rfcalc.readers.target import load

        network = load(text)
    except RfcalcError:
        return []
    known = dict.fromkeys([*network.stages, *network.blocks, *(node.name for node in network.nodes)])
    return [name for name in known if name.startswith(incomplete)]


def nodes_and_figures(context: Any, incomplete: str) -> list[str]:
    """What `explain` takes behind a network: nodes and metrics."""
    return [*nodes(context, incomplete), *columns_of(incomplete)]


def columns_of(incomplete: str) -> list[str]:
    """Metrics; after a comma the next one."""
    from rfcalc.report.metrics import METRICS, PRESETS

    before, sign, last = incomplete.rpartition(",")
    typed = [name.replace("-", "_") for name in METRICS.names()] + [*PRESETS]
    return [before + sign + name for name in _beginning(last, typed)]


def forms(incomplete: str) -> list[str]:
    """Output formats."""
    from rfcalc.render import FORMATS

    return _beginning(incomplete, FORMATS)


def styles(incomplete: str) -> list[str]:
    """Styles of the table."""
    from rfcalc.report.table import STYLES

    return _beginning(incomplete, STYLES)


def dtypes(incomplete: str) -> list[str]:
    """Types of values."""
    from rfcalc.core.dtypes import DTYPES

    return _beginning(incomplete, DTYPES)


def exports(incomplete: str) -> list[str]:
    """Forms in which a network is written down."""
    return _beginning(incomplete, FORMS)


def families(incomplete: str) -> list[str]:
    """Families whose pairings can be compared."""
    from rfcalc.comparison.family import names

    return _beginning(incomplete, names())
