"""The style ``blocks``: maps to scale in one row, as papers draw VGG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.slabs import draw, fitting

if TYPE_CHECKING:
    from rfcalc.report import Report
    from rfcalc.report.document import Picture

MOST = 34  # bodies; a longer network is drawn block by block


def picture(report: Report, options: Options = NONE) -> Picture:
    """The maps of a network as bodies, from the input at the left to the output at the right.

    Raises:
        RfcalcError: sizes that are symbols.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("conv3-16 > maxpool2", "4x64x64"))
    >>> [(box.width, box.height) for box in found.boxes]
    [(3.0, 150.0), (6.0, 150.0), (6.0, 75.0)]
    """
    return draw(report, fitting(report, options, MOST), lambda part: 0)
