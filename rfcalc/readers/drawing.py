"""Pictures of what a user may name: `rfcalc.draw`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.readers.target import analyze

if TYPE_CHECKING:
    from rfcalc.drawing.drawing import Drawing


def draw(target: Any, input: Any = None, *, style: str = "stages", batch: int = 1, dtype: str | None = None) -> Drawing:  # noqa: A002
    """A picture of a network: notebooks show it, `svg()` is the text of a file.

    Args:
        target, input, batch, dtype: as for `analyze`.
        style: the layout or chart, by its name: stages, graph, growth, cost.

    Raises:
        UnknownName: no such style.
        RfcalcError: what cannot be read.

    >>> import rfcalc
    >>> len(rfcalc.draw("resnet18").picture.boxes)
    30
    """
    from rfcalc.drawing.drawing import Drawing

    return Drawing(analyze(target, input, batch=batch, dtype=dtype), style)
