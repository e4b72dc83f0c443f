"""A drawing: a picture of a report in a style, in any format that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module

from rfcalc.core.errors import MissingExtra, UnknownName
from rfcalc.report.document import Document, Picture
from rfcalc.report.records import records
from rfcalc.report.report import Report
from rfcalc.report.table import notes

STYLES = {  # style → what it shows; the file that draws it has its name, and a function `picture`
    "stages": "a ladder: a row a layer, its figures in columns, skips at the side",
    "graph": "what reads what, from the inputs down, the output shape under each box",
}

CHARTS = {  # the same for charts
    "growth": "the receptive field over depth, the image's size as a line, layers that see nothing new",
    "cost": "parameters, memory and multiply-adds by stage",
}
CONVERTED = ("png", "pdf")  # formats into which cairosvg turns an SVG


@dataclass(frozen=True)
class Drawing:
    """A picture of a network, in a style of `STYLES` or as a chart of `CHARTS`; a notebook shows it.

    >>> import rfcalc
    >>> drawing = rfcalc.draw("vgg16")
    >>> drawing
    Drawing('vgg16', 'stages')
    >>> drawing.svg().splitlines()[0]
    '<?xml version="1.0" encoding="UTF-8"?>'
    """

    report: Report
    style: str = "stages"

    def __post_init__(self) -> None:
        if self.style not in STYLES and self.style not in CHARTS:
            raise UnknownName("style", self.style, [*STYLES, *CHARTS])

    def __repr__(self) -> str:
        return f"Drawing({self.report.network.name or self.report.target!r}, {self.style!r})"

    @cached_property
    def picture(self) -> Picture:
        """Boxes, lines and texts in their places.

        Raises:
            RfcalcError: more boxes than a picture can show.
        """
        found: Picture = import_module(f"rfcalc.drawing.{self.style}").picture(self.report)
        return found

    def svg(self) -> str:
        """The picture as a file that needs nothing else, light or dark as the reader's system is."""
        from rfcalc.render.svg import alone

        return alone(self.picture)

    def converted(self, form: str) -> bytes:
        """The light picture as a ``"png"`` (two pixels a unit) or a ``"pdf"``.

        Raises:
            MissingExtra: cairosvg is not installed.
            UnknownName: no such format.
        """
        if form not in CONVERTED:
            raise UnknownName("format", form, list(CONVERTED))
        try:
            convert = getattr(import_module("cairosvg"), f"svg2{form}")
        except (ImportError, OSError):  # OSError: the library cairo is missing
            raise MissingExtra("cairosvg", "pictures") from None
        made: bytes = convert(bytestring=self.svg().encode(), scale=2 if form == "png" else 1)
        return made

    def document(self) -> Document:
        """The picture as a document, for every other format; its figures are the report's."""
        return Document(
            self.picture.title,
            (self.picture,),
            notes(self.report),
            data=self.report.to_dict,
            records=partial(records, self.report),
        )

    def _repr_svg_(self) -> str:
        return self.svg()
