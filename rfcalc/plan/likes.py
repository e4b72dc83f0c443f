"""Networks like a given one: combinations of changes that keep its output and hold constraints.

Every combination of options is a network that is built and walked; those that do not run, or whose output has another
shape, are left out. Dilations for strides keep the units of the output among more of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number
from rfcalc.notation.write import write
from rfcalc.plan.contradictions import refuse
from rfcalc.plan.design import OBJECTIVES, Tightest, nearest_of
from rfcalc.plan.families import SIZE
from rfcalc.plan.figures import figure, measured
from rfcalc.plan.search import pareto
from rfcalc.plan.variants import MOVES, Asked, Choice, Draft, Move, Option, Unfit
from rfcalc.report.constraints import Constraint, parse
from rfcalc.report.metrics import metric
from rfcalc.report.report import Report

DISTANCE = ("changes", "scaled")  # from the given network: how many changes, and how much its channels are scaled
MOST_VARIANTS = 1_500  # networks that are walked before a search is stopped


class Variant(NamedTuple):
    """A network like the given one: what was changed (nothing: it is the given one), its report, its figures."""

    changes: tuple[str, ...]
    report: Report
    figures: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def notation(self) -> str:
        """As every other command takes it."""
        return write(self.report.network, None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "family": "like",
            "changes": list(self.changes),
            "notation": self.notation,
            "figures": self.figures,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Likes:
    """What a search came to.

    Attributes:
        choices: what could be chosen, with its options.
        searched: combinations that were built; `size`: how many there are.
        unfit: options that cannot be made, and why.
    """

    report: Report
    constraints: tuple[str, ...]
    objectives: tuple[str, ...]
    moves: tuple[Move, ...]
    choices: tuple[Choice, ...]
    searched: int
    unfit: dict[str, str]
    designs: tuple[Variant, ...]
    tightest: tuple[Tightest, ...]

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return prod(len(choice.options) for choice in self.choices)

    @property
    def optimal(self) -> bool:
        """Whether all of them were built."""
        return self.searched == self.size

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it (schema rfcalc/design/1)."""
        space = {
            "family": f"like {self.report.target}",
            "input": list(next(iter(self.report.inputs.values())).dims),
            "size": self.size,
            "parameters": {choice.name: [option.told for option in choice.options] for choice in self.choices},
        }
        return {
            "schema": "rfcalc/design/1",
            "constraints": list(self.constraints),
            "objectives": list(self.objectives),
            "space": [space],
            "searched": self.searched,
            "designs": [variant.to_dict() for variant in self.designs],
            "optimal": self.optimal,
            "tightest": [t.to_dict() for t in self.tightest],
            "unfit": [{"change": told, "why": why} for told, why in self.unfit.items()],
        }


def like(
    report: Report,
    constraints: str,
    moves: Sequence[str] = (),
    objectives: Sequence[str] = OBJECTIVES,
    most: int = MOST_VARIANTS,
    factors: Sequence[Fraction] = (),
) -> Likes:
    """Search the variants of a network.

    Args:
        report: the network at its input, with sizes in numbers.
        constraints: in the constraint language; a figure of a node without a node is the output's. May be empty.
        moves: names of `MOVES`; all if left out.
        objectives: what is to be small.
        most: how many networks are built before the search is stopped.
        factors: by which channels are scaled; `width` has its own.

    Raises:
        UnknownName: a move or a figure that there is not.
        RfcalcError: a constraint that cannot be read, sizes that are symbols, a network with unknown operators.
    """
    parsed = parse(constraints, output=True) if constraints.strip() else []
    refuse(parsed)
    names = tuple(metric(name).name for name in objectives)
    asked = moves or [name for name in MOVES.names() if not (MOVES[name].costs_more and _only_costs(parsed, names))]
    chosen = tuple(sorted((MOVES[name] for name in asked), key=lambda move: move.order))
    if not all(is_number(n) for shape in report.shapes for n in shape.dims):
        raise RfcalcError("variants need sizes in numbers", fix="give an input such as 3x224x224")
    if not report.complete:
        raise RfcalcError(
            f"{report.target} has operators that were not understood", why="they could not be kept as they are",
            fix="rfcalc table names them",
        )  # fmt: skip
    choices: tuple[Choice, ...] = ()
    for move in chosen:
        room = most // prod(len(choice.options) for choice in choices)
        choices += tuple(move.choices(report, Asked(room, len(chosen) == 1, tuple(factors))))
    unfit: dict[str, str] = {}
    found: list[Variant] = []
    searched = 0
    extra = [n for n in dict.fromkeys(("receptive_field", *map(measured, parsed))) if n and n not in names]
    for options in product(*(choice.options for choice in choices)):
        if searched == most:
            break
        searched += 1
        made = _made(report, options, unfit)
        if made is not None:
            changes = tuple(option.told for option in options if option.change is not None)
            figures = {name: figure(made[0], name) for name in (*names, *extra)}
            figures["changes"] = sum(option.changes for option in options if option.change is not None)
            figures["scaled"] = max((option.amount for option in options), default=Fraction(0))
            found.append(Variant(changes, made[0], figures, made[1]))
    fits = [v for v in found if all(c.check(v.report)[0] for c in parsed)]
    tightest = () if fits else _tightest(found, parsed)
    best = sorted(pareto(fits, (*DISTANCE, *names)), key=lambda v: [v.figures[n] for n in (*DISTANCE, *names)])
    shown = tuple([v._replace(figures={n: f for n, f in v.figures.items() if n not in DISTANCE}) for v in best])
    return Likes(report, tuple(map(str, parsed)), names, chosen, choices, searched, unfit, shown, tightest)


def _only_costs(constraints: Sequence[Constraint], objectives: Sequence[str]) -> bool:
    """Whether what costs more cannot be listed: costs are bounded from above, and are all that is to be small."""
    bounded = [c for c in constraints if not (measured(c) in SIZE and c.relation in ("<", "<="))]
    return not bounded and set(objectives) <= {*SIZE, "weight_layers"}


def _made(report: Report, options: Sequence[Option], unfit: dict[str, str]) -> tuple[Report, tuple[str, ...]] | None:
    """The variant that options make, with what is to be said; None where it does not run or keeps another output."""
    changes = [option for option in options if option.change is not None]
    if not changes:
        return report, ()
    draft = Draft(report)
    try:
        for option in changes:
            assert option.change is not None
            option.change(draft)
        made = Report(draft.network(), report.inputs, batch=report.batch, dtype=report.dtype, target=report.target)
        why = _other_output(report, made, draft)
    except Unfit as error:
        why = str(error)
    except RfcalcError as error:
        why = f"{error.where}: {error.what}" if error.where else error.what
    if why is None:
        return made, tuple(draft.notes)
    if len(changes) == 1:
        unfit[changes[0].told] = why
    return None


def _other_output(report: Report, made: Report, draft: Draft) -> str | None:
    """How the output differs, where it does: beyond being finer."""
    for old, new in zip(report.outputs, made.outputs, strict=True):
        if draft.finer == (1,) * len(draft.finer):
            if old.output_shape != new.output_shape:
                return f"the output of {old.name} would be {new.shape}, not {old.shape}"
            continue
        least = [f * (n - 1) + 1 for f, n in zip(draft.finer, old.shape.spatial, strict=True)]
        if old.shape.channels != new.shape.channels or any(
            n < m for n, m in zip(new.shape.spatial, least, strict=True)
        ):
            return f"the output of {old.name} would be {new.shape}, which does not hold {old.shape}"
    return None


def _tightest(found: Sequence[Variant], constraints: Sequence[Constraint]) -> tuple[Tightest, ...]:
    """For each constraint the nearest figure among the variants that hold all others."""
    near = []
    for constraint in constraints:
        others = [c for c in constraints if c is not constraint]
        reports = [v.report for v in found if all(c.check(v.report)[0] for c in others)]
        one = nearest_of(constraint, reports)
        if one is not None:
            near.append(one)
    return tuple(sorted(near, key=lambda t: (t.off is None, t.off or 0)))
