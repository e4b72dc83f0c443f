"""The chart ``cost``: parameters, memory and multiply-adds by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.core.size import is_number
from rfcalc.drawing.bars import Bar, Panel, chart
from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.parts import parts
from rfcalc.drawing.stages import heading
from rfcalc.report.units import bytes_short, exact, short

if TYPE_CHECKING:
    from rfcalc.report import Report
    from rfcalc.report.document import Picture


def picture(report: Report, options: Options = NONE) -> Picture:
    """What each stage costs; each layer, where there are no stages. Memory is that of outputs, as in the table.

    Raises:
        RfcalcError: more boxes than a picture can show.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("vgg16"))
    >>> [text.text for text in found.texts if text.text.startswith("123,642")]
    ['123,642,856']
    """
    found = parts(report, options)
    sums: dict[str, list[Any]] = {
        name: [0, shape.values * report.batch * report.itemsize, 0] for name, shape in report.inputs.items()
    }
    staged = options.depth is None and len({row.stage for row in report}) > 1
    for part in found.parts:
        for name in part.nodes:
            if name in report.inputs:
                continue
            row = report[name]
            own = sums.setdefault((row.stage or "–") if staged else part.name + part.copies, [0, 0, 0])
            figures = row.params, row.new_values * report.itemsize, row.macs
            own[:] = [a + b for a, b in zip(own, figures, strict=True)]
    names = [*sums]

    def panel(i: int, title: str, role: str, text: Any) -> Panel:
        values = [sums[name][i] for name in names]
        return Panel(
            title,
            tuple(
                Bar(int(v) if is_number(v) else None, text(v) if v != 0 else "", role, f"{n}: {exact(v)} {title}")
                for n, v in zip(names, values, strict=True)
            ),
        )

    panels = (
        panel(0, "parameters", "conv", exact),
        panel(1, "memory in bytes", "pool", bytes_short),
        panel(2, "multiply-adds", "dense", short),
    )
    title, about = heading(report, found)
    about = tuple(line for line in about if not line.startswith("×n"))
    told = f"{title}: parameters, memory and multiply-adds of {len(names)} {'stages' if staged else 'layers'}."
    return chart(names, panels, title, about, told)
