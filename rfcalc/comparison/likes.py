"""Networks like a given one: combinations of changes that keep its output and hold constraints.

Every combination of options is a network that is built and walked; those that do not run, or whose output has another
shape, are left out. Dilations for strides keep the units of the output among more of them. What each variant changes is
a comparison with the given network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib import import_module
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.comparison.comparison import Comparison
from rfcalc.comparison.subject import ComparedNetwork, walking
from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.progress import at
from rfcalc.core.size import is_number
from rfcalc.graph import uncollected
from rfcalc.notation.write import write
from rfcalc.plan.contradictions import refuse
from rfcalc.plan.design import OBJECTIVES, Tightest, nearest_of
from rfcalc.plan.families import SIZE
from rfcalc.plan.figures import figure, measured
from rfcalc.plan.search import pareto
from rfcalc.plan.variants import MOVES, CannotChange, Move, MoveRequest, NetworkDraft, VariantChoice, VariantOption
from rfcalc.readers.target import analyze
from rfcalc.receptive.receptive_field import plain
from rfcalc.report import Report
from rfcalc.report.constraints import Constraint, parse
from rfcalc.report.metrics import metric

if TYPE_CHECKING:
    from rfcalc.report.document import Document

LARGEST_FACTOR = 64
DISTANCE = ("changes", "scaled")  # from the given network: how many changes, and how much its channels are scaled
MOST_VARIANTS = 1_500  # networks that are walked before a search is stopped
LONGEST_NAME = 26  # characters of a name that heads a column; beyond them the given network is "it"


class Variant(NamedTuple):
    """A network like the given one: what was changed (nothing: it is the given one), its report, its figures.

    `written`: its notation, where it was made of layers that are written so; `seen`: of stacks, how many positions of
    the receptive field it depends on.
    """

    changes: tuple[str, ...]
    report: Report
    figures: dict[str, Any]
    notes: tuple[str, ...] = ()
    written: str = ""
    seen: int | None = None

    @property
    def notation(self) -> str:
        """As every other command takes it."""
        return self.written or write(self.report.network, None)


@dataclass(frozen=True)
class Likes:
    """What a search came to.

    Attributes:
        subject: the network that was given.
        choices: what could be chosen, with its options.
        searched: combinations that were built; `size`: how many there are.
        unfit: options that cannot be made, and why.
        ranked: in which order the designs stand, where all are listed and not only those than which none is better.
        said, remarks: sentences about what there is, and conventions.
    """

    subject: ComparedNetwork
    constraints: tuple[str, ...]
    objectives: tuple[str, ...]
    moves: tuple[Move, ...]
    choices: tuple[VariantChoice, ...]
    searched: int
    unfit: dict[str, str]
    designs: tuple[Variant, ...]
    tightest: tuple[Tightest, ...]
    ranked: str = ""
    said: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{plural(len(self.designs), 'network')} like {self.subject.name}>"

    @property
    def report(self) -> Report:
        """The network that was given."""
        return self.subject.report

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return prod(len(choice.options) + choice.more for choice in self.choices)

    @property
    def optimal(self) -> bool:
        """Whether all were built but those that are known to cost more."""
        return self.searched == prod(len(choice.options) for choice in self.choices)

    @cached_property
    def figures(self) -> dict[str, Any]:
        """Those of the given network that are told of the variants."""
        return _figures(self.subject, self.report, tuple(self.designs[0].figures) if self.designs else self.objectives)

    def comparison(self, variant: Variant) -> Comparison:
        """What a variant changes, against the given network."""
        label = self.subject.name if len(self.subject.name) <= LONGEST_NAME else "it"
        other = self.subject._replace(label="variant", name="variant", report=variant.report)
        return Comparison((self.subject._replace(label=label), other))

    def document(self, show: Sequence[int] | None = None) -> Document:
        """What `rfcalc design --like` shows; `show`: of which variants, from 1, all that they change."""
        made: Document = import_module("rfcalc.comparison.likes_shown").document(self, show)
        return made

    _repr_html_ = displayed

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it (schema rfcalc/design/1)."""
        space = {
            "family": f"like {self.subject.name}",
            "input": plain(next(iter(self.report.inputs.values())).dims),
            "size": self.size,
            "parameters": {choice.name: [option.told for option in choice.options] for choice in self.choices},
        }
        return {
            "schema": "rfcalc/design/1",
            "constraints": list(self.constraints),
            "objectives": list(self.objectives),
            "space": [space],
            "searched": self.searched,
            "designs": [self._design(variant) for variant in self.designs],
            "optimal": self.optimal,
            "tightest": [t.to_dict() for t in self.tightest],
            "unfit": [{"change": told, "why": why} for told, why in self.unfit.items()],
            "given": {name: plain(value) for name, value in self.figures.items()},
            "sentences": list(self.said),
            "assumptions": list(self.subject.assumptions),
        }

    def _design(self, variant: Variant) -> dict[str, Any]:
        found = {
            "family": "like",
            "changes": list(variant.changes),
            "notation": variant.notation,
            "figures": {name: plain(value) for name, value in variant.figures.items()},
            "notes": list(variant.notes),
            "comparison": self.comparison(variant).to_dict(),
        }
        return found if variant.seen is None else {**found, "seen": variant.seen}


def variants(
    target: Any,
    constraints: str = "",
    input: Any = None,  # noqa: A002
    *,
    moves: Sequence[str] = (),
    minimize: Sequence[str] | None = None,
    factors: Sequence[Any] = (),
) -> Likes:
    """Variants of a network that keep its output and hold constraints, those with the fewest changes first.

    Args:
        target, input: as for `analyze`.
        constraints: in the constraint language: ``"params < 8M, rf >= 200"``; may be left out.
        moves: which changes are tried (``stacks``, ``strides``, ``dense``, ``width``); all if left out, ``dense`` only
            where what costs more can be an answer.
        minimize: metrics that are to be small; parameters, multiply-adds, peak memory and layers if left out.
        factors: by which channels are scaled, of all stages or of each (``["1/2", "3/4"]``).

    Raises:
        RfcalcError: what cannot be read; sizes that are symbols; operators that were not understood.

    >>> import rfcalc
    >>> rfcalc.variants("conv7-8 > relu", "params < 2k", "8x32x32", moves=["stacks"]).designs[0].changes
    ('conv1: kernel 7 as 3 of 3',)
    """
    scales = tuple(_factor(f) for f in factors)
    report = analyze(target, input)
    return like(report, constraints, tuple(moves), tuple(minimize or OBJECTIVES), factors=scales)


def _factor(given: Any) -> Fraction:
    """A factor of channels.

    Raises:
        RfcalcError: it is no number between 1/64 and 64, or 1.
    """
    try:
        found = Fraction(str(given).strip())
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if found == 1 or not Fraction(1, LARGEST_FACTOR) <= found <= LARGEST_FACTOR:
        raise RfcalcError(
            f"{given} is no factor of channels",
            why=f"a factor lies between 1/{LARGEST_FACTOR} and {LARGEST_FACTOR} and is not 1",
            fix="write fractions: width=1/2,3/4",
        )  # fmt: skip
    return found


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
    choices: tuple[VariantChoice, ...] = ()
    for move in chosen:
        room = most // prod(len(choice.options) for choice in choices)
        choices += tuple(move.choices(report, MoveRequest(room, len(chosen) == 1, tuple(factors))))
    subject = ComparedNetwork(report.target, report.target, report)
    return search(subject, parsed, names, chosen, choices, most)


@uncollected
def search(
    subject: ComparedNetwork,
    constraints: Sequence[Constraint],
    objectives: tuple[str, ...],
    moves: tuple[Move, ...],
    choices: tuple[VariantChoice, ...],
    most: int = MOST_VARIANTS,
    ranked: str = "",
) -> Likes:
    """Build the combinations of options and keep those that hold the constraints: those than which none is better, or,
    where they are `ranked`, all in the order of their options."""
    unfit: dict[str, str] = {}
    found: list[Variant] = []
    searched = 0
    extra = [n for n in dict.fromkeys(("receptive_field", *map(measured, constraints))) if n and n not in objectives]
    total = prod(len(choice.options) for choice in choices)
    for options in product(*(choice.options for choice in choices)):
        if searched == most:
            break
        searched += 1
        at("variants walked", searched, min(total, most))
        draft = NetworkDraft(subject.report)
        made = _made(subject, draft, options, unfit)
        if made is not None:
            changes = tuple(option.told for option in options if option.change is not None)
            away = {
                "changes": sum(option.changes for option in options if option.change is not None),
                "scaled": max((option.amount for option in options), default=Fraction(0)),
            }
            found.append(Variant(changes, made, away, tuple(draft.notes), draft.written, draft.seen))
    fits = [v for v in found if all(c.check(v.report)[0] for c in constraints)]
    for v in fits:
        v.figures.update(_figures(subject, v.report, objectives))
    best = fits
    if not ranked:
        order = (*DISTANCE, *objectives)
        best = sorted(pareto(fits, order), key=lambda v: [v.figures[n] for n in order])
    shown = tuple([v._replace(figures=_figures(subject, v.report, (*objectives, *extra))) for v in best])
    tightest = () if fits else _tightest(found, constraints)
    told = tuple(map(str, constraints))
    return Likes(subject, told, objectives, moves, choices, searched, unfit, shown, tightest, ranked)


def _figures(subject: ComparedNetwork, report: Report, names: Sequence[str]) -> dict[str, Any]:
    with walking(subject):
        return {name: figure(report, name) for name in names}


def _only_costs(constraints: Sequence[Constraint], objectives: Sequence[str]) -> bool:
    """Whether what costs more cannot be listed: costs are bounded from above, and are all that is to be small."""
    bounded = [c for c in constraints if not (measured(c) in SIZE and c.relation in ("<", "<="))]
    return not bounded and set(objectives) <= {*SIZE, "weight_layers"}


def _made(
    subject: ComparedNetwork, draft: NetworkDraft, options: Sequence[VariantOption], unfit: dict[str, str]
) -> Report | None:
    """The variant that options make; None where it does not run or keeps another output."""
    changes = [option for option in options if option.change is not None]
    report = subject.report
    if not changes:
        return report
    try:
        for option in changes:
            assert option.change is not None
            option.change(draft)
        with walking(subject):
            made = Report(draft.network(), report.inputs, batch=report.batch, dtype=report.dtype, target=report.target)
            why = _other_output(report, made, draft)
    except CannotChange as error:
        why = str(error)
    except RfcalcError as error:
        why = f"{error.where}: {error.what}" if error.where else error.what
    if why is None:
        return made
    if len(changes) == 1:
        unfit[changes[0].told] = why
    return None


def _other_output(report: Report, made: Report, draft: NetworkDraft) -> str | None:
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
