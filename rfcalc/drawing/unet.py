"""The style ``unet``: a row for each resolution, so that an encoder and a decoder stand as a U."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.slabs import draw, fitting

if TYPE_CHECKING:
    from rfcalc.drawing.parts import DrawnPart
    from rfcalc.report import Report
    from rfcalc.report.document import Picture

MOST = 60  # bodies; a longer network is drawn block by block


def picture(report: Report, options: Options = NONE) -> Picture:
    """The maps of a network as bodies, coarse ones below: a row is an effective stride, which unpadded layers keep.

    Raises:
        RfcalcError: sizes that are symbols.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("conv3-8 > maxpool2 > conv3-8 > up2", "3x32x32"))
    >>> tops = [round(box.y) for box in found.boxes]
    >>> tops[0] == tops[1] == tops[4] < tops[2]
    True
    """
    found = fitting(report, options, MOST)
    strides: dict[str, float] = {}
    for row in report:  # what sees all of the input stands where what it reads stands
        known = [float(n) for n in row.receptive_field.stride if n is not None]
        before = [strides.get(name, 1.0) for name in row.inputs]
        strides[row.name] = max(known) if known else max(before, default=1.0)
    levels = {stride: i for i, stride in enumerate(sorted({strides.get(p.nodes[-1], 1.0) for p in found.parts}))}

    def row_of(part: DrawnPart) -> int:
        return levels[strides.get(part.nodes[-1], 1.0)]

    return draw(report, found, row_of)
