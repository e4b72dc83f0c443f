"""The chart ``growth``: the receptive field over depth, the image's size as a line, layers that see nothing new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.core.size import is_number
from rfcalc.drawing.bars import Bar, Panel, chart
from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.parts import parts
from rfcalc.drawing.stages import heading

if TYPE_CHECKING:
    from rfcalc.report import Report
    from rfcalc.report.document import Picture


def picture(report: Report, options: Options = NONE) -> Picture:
    """The growth of the receptive field: the larger side where the axes differ, of the first input.

    Raises:
        RfcalcError: more boxes than a picture can show.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("conv3-8 > maxpool2 > conv3-8", "3x16x16"))
    >>> [box.width for box in found.boxes]
    [56.25, 75.0, 150.0]
    """
    found = parts(report, options)
    bars, names = [], []
    for part in found.parts:
        if not part.rf:
            continue
        field = report[part.nodes[-1]].receptive_field
        sizes = [n for n in field.size if n is not None and is_number(n)]
        bounded = field.status in ("exact", "periodic", "bounded")
        value = max(sizes) if sizes and bounded else None
        phases = [p for p, n in zip(field.phases or (), field.size, strict=False) if p is not None and n == value]
        least = min(map(min, phases)) if phases and value is not None else None
        if least == value:
            least = None
        text = part.rf if least is None else f"{least}–{part.rf.lstrip('≤')}"
        role = "unseen" if part.rf.endswith("*") else part.family
        bars.append(Bar(value, text, role, f"{part.name}: receptive field {text}", least))
        names.append(part.name + part.copies)
    spatial = [n for n in next(iter(report.inputs.values())).spatial if is_number(n)]
    mark = (int(max(spatial)), f"the input: {'x'.join(map(str, spatial))}") if spatial else None
    title, about = heading(report, found)
    about = tuple("×n: n copies, the last one's rf" if line.startswith("×n") else line for line in about)
    idle = (
        ("*: reads maps whose units see more than the whole input already",)
        if any(bar.role == "unseen" for bar in bars)
        else ()
    )
    banded = ("a–b: units see a to b positions, by their phase",) if any(b.least is not None for b in bars) else ()
    told = f"{title}: the receptive field over depth, {len(bars)} bars from the first layer to the last."
    return chart(names, [Panel("receptive field", tuple(bars), mark)], title, (*about, *banded, *idle), told)
