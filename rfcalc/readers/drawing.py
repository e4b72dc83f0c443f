"""Pictures of what a user may name: `rfcalc.draw`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.readers.target import analyze

if TYPE_CHECKING:
    from rfcalc.drawing.drawing import Drawing


def draw(
    target: Any,
    input: Any = None,  # noqa: A002
    *,
    style: str = "stages",
    batch: int = 1,
    dtype: str | None = None,
    **options: Any,
) -> Drawing:
    """A picture of a network: notebooks show it, `svg()` is the text of a file.

    Args:
        target, input, batch, dtype: as for `analyze`.
        style: the layout or chart, by its name: see `rfcalc.drawing.drawing.STYLES` and `CHARTS`.
        options: what concerns the style, by name: see `rfcalc.drawing.options.Options`; ``others`` of
            ``compare`` may be whatever `analyze` reads; ``tile`` and ``tiles`` for tiles, as for `rfcalc.tile`.

    Raises:
        UnknownName: no such style, or no such option.
        RfcalcError: what cannot be read.

    >>> import rfcalc
    >>> len(rfcalc.draw("resnet18").picture.boxes)
    30
    """
    from dataclasses import fields

    from rfcalc.drawing.drawing import Drawing
    from rfcalc.drawing.options import Options
    from rfcalc.readers.planning import tile
    from rfcalc.report import Report

    cut = {name: options.pop(name) for name in ("tile", "tiles") if name in options}
    if style == "tiles" and cut:
        options["plan"] = tile(target, input, batch=batch, dtype=dtype, at=options.pop("at", None), **cut)
    elif cut:
        raise RfcalcError(f"{style} does not show tiles", fix="choose the chart tiles")
    known = [field.name for field in fields(Options)]
    for name in options:
        if name not in known:
            raise UnknownName("option", name, [*known, "tile", "tiles"])

    def read(one: Any) -> Report:
        return one if isinstance(one, Report) else analyze(one, input, batch=batch, dtype=dtype)

    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    given["others"] = tuple(map(read, given.get("others", ())))
    return Drawing(read(target), style, Options(**given))
