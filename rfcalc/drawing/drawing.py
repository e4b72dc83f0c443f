"""A drawing: a picture of a report in a style, in any format that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import MissingExtra, RfcalcError, UnknownName
from rfcalc.drawing.options import NONE, Options
from rfcalc.report import Report
from rfcalc.report.document import Document, Picture
from rfcalc.report.records import records
from rfcalc.report.table import notes

BOXES = ("depth", "metrics", "highlight")
READ = {  # style → the options that it reads
    "stages": BOXES,
    "graph": BOXES,
    "blocks": BOXES,
    "unet": BOXES,
    "growth": ("depth",),
    "cost": ("depth",),
    "compare": ("metrics", "others"),
    "memory": ("infer",),
    "tiles": ("plan",),
    "field": ("at", "unit", "source", "image"),
}
STYLES = {  # style → what it shows; the file that draws it has its name, and a function `picture`
    "stages": "a ladder: a row a layer, its figures in columns, skips at the side",
    "graph": "what reads what, from the inputs down, the output shape under each box",
    "blocks": "maps to scale in one row, as papers draw VGG",
    "unet": "the same with a row for each resolution: encoder and decoder as a U",
}

CHARTS = {  # the same for charts
    "growth": "the receptive field over depth, phases as a band, the image as a line, layers that see nothing new",
    "cost": "parameters, memory and multiply-adds by stage",
    "compare": "networks as bubbles by three figures",
    "memory": "what lives when, moment by moment",
    "tiles": "what tiles read and write, and their halo",
    "field": "what a unit sees of the input, and how its gradient spreads",
}
NAMES = {"others": "several networks", "plan": "tiles", "source": "what lies between", "at": "one node (--at)"}
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
    options: Options = NONE
    made: Picture | None = None  # the picture, where a command has made it

    def __post_init__(self) -> None:
        if self.style not in STYLES and self.style not in CHARTS:
            raise UnknownName("style", self.style, [*STYLES, *CHARTS])
        for name in self.options.given:
            if name not in READ[self.style]:
                able = ", ".join(style for style, names in READ.items() if name in names)
                raise RfcalcError(f"{self.style} does not show {NAMES.get(name, name)}", fix=f"choose one of {able}")

    def __repr__(self) -> str:
        return f"Drawing({self.report.network.name or self.report.target!r}, {self.style!r})"

    @cached_property
    def picture(self) -> Picture:
        """Boxes, lines and texts in their places.

        Raises:
            RfcalcError: more boxes than a picture can show.
        """
        if self.made is not None:
            return self.made
        found: Picture = import_module(f"rfcalc.drawing.{self.style}").picture(self.report, self.options)
        return found

    def svg(self, theme: str = "auto", font: str = "", width: str = "") -> str:
        """The picture as a file that needs nothing else.

        Args:
            theme: light, dark, or as the reader's system is.
            font: the family of its texts (Helvetica or Arial if left out); laid out for the widest of the usual ones.
            width: on paper, with its unit: ``"84mm"``, a column of many journals.

        Raises:
            UnknownName: no such theme.
            RfcalcError: a width that is none.
        """
        from rfcalc.render.svg import THEMES, Paper, alone

        if theme not in THEMES:
            raise UnknownName("theme", theme, list(THEMES))
        return alone(self.picture, Paper(theme, font, width))

    def converted(self, form: str, theme: str = "light", font: str = "", width: str = "") -> bytes:
        """The picture as a ``"png"`` (two pixels a unit) or a ``"pdf"``; `theme`, `font` and `width` as for `svg`.

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
        text = self.svg("light" if theme == "auto" else theme, font, width)
        made: bytes = convert(bytestring=text.encode(), scale=2 if form == "png" else 1)
        return made

    def tikz(self, width: str = "") -> str:
        """The picture for LaTeX, to be read with ``\\input`` where ``tikz`` is loaded; `width` as for `svg`.

        Raises:
            RfcalcError: a width that is none.
        """
        from rfcalc.render.latex import escape
        from rfcalc.render.svg import measure
        from rfcalc.render.tikz import picture

        points = {"mm": 72 / 25.4, "cm": 720 / 25.4, "in": 72.0, "pt": 72 / 72.27, "px": 0.75}
        number, unit = measure(width) if width else (0.0, "pt")
        lines = picture(self.picture, escape, number * points[unit] or None)
        return "\n".join([r"% needs \usepackage{tikz}", *lines])

    def document(self) -> Document:
        """The picture as a document, for every other format; its figures are the report's."""
        return Document(
            self.picture.title,
            (self.picture,),
            notes(self.report),
            data=self.report.to_dict,
            records=partial(records, self.report),
        )

    _repr_html_ = displayed

    def _repr_svg_(self) -> str:
        return self.svg()
