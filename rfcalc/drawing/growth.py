"""The chart ``growth``: the receptive field over depth, the image's size as a line, layers that see nothing new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.core.size import is_number
from rfcalc.drawing.bars import Bar, Panel, chart
from rfcalc.drawing.parts import parts
from rfcalc.drawing.stages import heading

if TYPE_CHECKING:
    from rfcalc.report.document import Picture
    from rfcalc.report.report import Report


def picture(report: Report) -> Picture:
    """The growth of the receptive field: the larger side where the axes differ, of the first input.

    Raises:
        RfcalcError: more boxes than a picture can show.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("conv3-8 > maxpool2 > conv3-8", "3x16x16"))
    >>> [box.width for box in found.boxes]
    [56.25, 75.0, 150.0]
    """
    found = parts(report)
    bars, names = [], []
    for part in found.parts:
        if not part.rf:
            continue
        row = report[part.nodes[-1]]
        sizes = [n for n in row.receptive_field.size if n is not None and is_number(n)]
        bounded = row.receptive_field.status in ("exact", "periodic", "bounded")
        value = max(sizes) if sizes and bounded else None
        role = "unseen" if part.rf.endswith("*") else part.family
        bars.append(Bar(value, part.rf, role, f"{part.name}: receptive field {part.rf}"))
        names.append(f"{part.name} ×{part.times}" if part.times > 1 else part.name)
    spatial = [n for n in next(iter(report.inputs.values())).spatial if is_number(n)]
    mark = (int(max(spatial)), f"the input: {'x'.join(map(str, spatial))}") if spatial else None
    title, about = heading(report, found)
    about = tuple("×n: n copies, the last one's rf" if line.startswith("×n") else line for line in about)
    idle = (
        ("*: reads maps whose units see more than the whole input already",)
        if any(bar.role == "unseen" for bar in bars)
        else ()
    )
    told = f"{title}: the receptive field over depth, {len(bars)} bars from the first layer to the last."
    return chart(names, [Panel("receptive field", tuple(bars), mark)], title, (*about, *idle), told)
