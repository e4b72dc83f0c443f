"""What may be chosen for a picture, beside its style."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rfcalc.plan.tile import TilePlan
    from rfcalc.report import Report


@dataclass(frozen=True)
class Options:
    """What may be chosen; a style reads what concerns it.

    Attributes:
        depth: blocks are drawn as one box from this level of their names on (1: stages and outermost blocks).
        metrics: figures of a box, by their names; the style's own if left out.
        highlight: a node, whose middle unit's region is marked on every map.
        at, unit, source: for ``field``: the node, its unit, an earlier node that is looked at instead of the input.
        plan: for ``tiles``: the tiles; two along each axis if left out.
        infer: for ``memory``: only forward, without gradients.
        image: for ``field``: a PNG or JPEG that lies under the region.
        others: for ``compare``: further networks.
    """

    depth: int | None = None
    metrics: tuple[str, ...] = ()
    highlight: str | None = None
    at: str | None = None
    unit: tuple[int, ...] | None = None
    source: str | None = None
    plan: TilePlan | None = None
    infer: bool = False
    image: Path | None = None
    others: tuple[Report, ...] = ()

    @property
    def given(self) -> list[str]:
        """The names of what was chosen."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


NONE = Options()
