"""The rules of both walks as formulas, and the lines that apply them along a way. Imports `paths`, the model."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rfcalc.core.cost import Formula
from rfcalc.core.size import decide
from rfcalc.core.window import STEP, All, Slide, Table
from rfcalc.derivation.model import Equation, Statement
from rfcalc.derivation.paths import EndPath, Hop
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.report import Report, Row
from rfcalc.report.field_report import FieldReport

LESSON = "a run of F units reads the first unit's k positions, and s more for each further unit"
WIDER = "the same, with a kernel that dilation d widens to d × (k − 1) + 1"
JUMPS = "S input pixels lie between units; Araujo, Norris & Sim 2019, Computing Receptive Fields of CNNs, Distill"
BACK = Formula("receptive_field", "(F - 1) * s + k", LESSON)
BACK_DILATED = Formula("receptive_field", "(F - 1) * s + d * (k - 1) + 1", WIDER)
GROW = Formula("receptive_field", "r + (k - 1) * S", JUMPS)
GROW_DILATED = Formula("receptive_field", "r + d * (k - 1) * S", "the same, with dilation d")
JUMP = Formula("stride", "S * s", "strides multiply")
JUMP_BACK = Formula("stride", "S * A / P", "P neighbouring units move A positions")
FIRST = Formula("first", "s * u - a", "unit u begins at its stride times u, a before that for the padding")
FIRST_AFTER = Formula("first", "s * u + o", "unit u begins at its stride times u, o after it")
LAST = Formula("last", "s * u - a + k - 1", "k − 1 positions after the first")
LAST_AFTER = Formula("last", "s * u + o + k - 1", "k − 1 positions after the first")
LAST_DILATED = Formula("last", "s * u - a + d * (k - 1)", "d × (k − 1) positions after the first")
PHASE = Formula("tap", "A * (u // P) + t", "the pattern repeats every P units, A positions further; t by phase")
END = Formula("last", "n - 1", "the last of all n positions")
SIZE = Formula("receptive_field", "last - first + 1", "both ends count")
FIRST_ON = Formula("first", "A - S * a", "a positions of the map before, S pixels each, further out")
LAST_ON = Formula("last", "B + S * (k - 1 - a)", "and ends k − 1 positions later")
LAST_ON_DILATED = Formula("last", "B + S * (d * (k - 1) - a)", "and ends d × (k − 1) positions later")
PADS = Formula("padding", "P + S * a", "padding a of a layer reaches S × a pixels further out")
CENTRES = Formula("center", "c + S * ((k - 1) / 2 - a)", "the middle of the kernel, a positions before for the padding")
CENTRES_DILATED = Formula("center", "c + S * (d * (k - 1) / 2 - a)", "the middle of the widened kernel")
MIDDLE = Formula("center", "(first + last) / 2", "between the first and the last pixel of unit 0")
PADDING = Formula("padding", "-first", "how far unit 0 begins before pixel 0")
ALL = Formula("last", "B + S * (n - 1)", "unit 0 ends at B, each of the n units S further")
TOGETHER = Formula("receptive_field", "1 + sum(x)", "what each layer adds: d × (k − 1) times all strides before it")


def plainly(value: Any) -> Any:
    """A fraction that is whole, as a whole number."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def passes(hop: Hop) -> bool:
    """Whether the layer leaves every unit where it is (1×1, element-wise, a map of one position)."""
    if type(hop.rule) is All:
        return decide(hop.rule.extent == 1) is True
    return hop.rule is None or (type(hop.rule) is Slide and hop.rule == STEP)


def affine(way: EndPath) -> bool:
    """Whether both ends come along one path of plain sliding windows, so that sizes follow without ends."""
    return way.one and all(passes(hop) or type(hop.rule) is Slide for hop in way.first)


def labelled(report: Report, position: int) -> tuple[str, str]:
    """A node's name and notation; an input has none."""
    arity = report.network.arity
    if position < arity:
        return list(report.inputs)[position], ""
    row = Row(report, position)
    return row.name, row.notation


def joined(field_report: FieldReport, hop: Hop, axis: int, what: str = "") -> str:
    """At a node that joins branches: through which one an end comes, and what the others see."""
    report = field_report.report
    sources = dict.fromkeys(report.network.sources[hop.position - report.network.arity])
    if len(sources) < 2:
        return ""
    told = []
    for s in sources:
        field = ReceptiveField(field_report.fields[s], report.shapes[field_report.origin], report.shapes[s])
        window = field.windows[axis] if field.windows else None
        if window is None:
            continue
        name = labelled(report, s)[0]
        seen = f"sees {'at most ' if window.period > 1 else ''}{window.size}"
        told.append((s != hop.source, f"{name}, which {seen}" if s == hop.source else f"{name} {seen}"))
    told.sort()
    others = [text for other, text in told if other]
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    mine = next((text for other, text in told if not other), labelled(report, hop.source)[0])
    return f"{what}through {mine}" + (f"; {', '.join(others[:2])}{more}" if others else "")


class PathStatements:
    """Lines along one way, on one axis."""

    def __init__(self, field_report: FieldReport, way: EndPath, axis: int) -> None:
        self.field_report, self.way, self.axis = field_report, way, axis
        self.report = field_report.report
        self.skipped = 0

    def line(self, hop: Hop, *equations: Equation, text: str = "") -> Statement:
        name, notation = labelled(self.report, hop.position)
        return Statement(name, notation, equations, text)

    def over(
        self, hops: tuple[Hop, ...], make: Callable[[Hop], tuple[Equation, ...]], what: str = ""
    ) -> list[Statement]:
        """A line for each hop that changes something or joins branches; the others are counted."""
        lines = []
        for hop in hops:
            text = joined(self.field_report, hop, self.axis, what)
            if passes(hop):
                if text:
                    lines.append(self.line(hop, text=text))
                else:
                    self.skipped += 1
                continue
            lines.append(self.line(hop, *make(hop), text=text))
        return lines

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.skipped:
            return ()
        told = "1 layer on the way reads" if self.skipped == 1 else f"{self.skipped} layers on the way read"
        return (f"{told} one position a unit (1×1, element-wise) and change nothing here",)

    def backward(self) -> list[Statement]:
        """F(i) = (F(i+1) − 1) × s + k, from one unit back."""
        size: Any = 1

        def make(hop: Hop) -> tuple[Equation, ...]:
            nonlocal size
            size, made = back(size, hop.rule)
            return (made,)

        return self.over(self.way.first, make)

    def forward(self) -> list[Statement]:
        """r + (k − 1) × S and S × s, from one pixel on."""
        size: Any = 1
        jump: Any = 1

        def make(hop: Hop) -> tuple[Equation, ...]:
            nonlocal size, jump
            size, grown = grow(size, jump, hop.rule)
            jump, jumped = leap(jump, hop.rule)
            return (grown, jumped)

        return self.over(self.way.first[::-1], make)

    def jumps(self) -> list[Statement]:
        """The strides alone, from one pixel on; layers of stride 1 are left out."""
        jump: Any = 1
        lines = []
        for hop in self.way.first[::-1]:
            if passes(hop):
                continue
            after, made = leap(jump, hop.rule)
            if decide(after == jump) is not True:
                lines.append(self.line(hop, made))
            jump = after
        return lines

    def offsets(self, which: str) -> list[Statement]:
        """Effective padding (or centre) from one pixel on; plain sliding windows only."""
        value: Any = 0
        jump: Any = 1

        def make(hop: Hop) -> tuple[Equation, ...]:
            nonlocal value, jump
            value, made = padded(value, jump, hop.rule) if which == "padding" else centred(value, jump, hop.rule)
            jump, jumped = leap(jump, hop.rule)
            return (made, jumped)

        return self.over(self.way.first[::-1], make)

    def ends(self) -> list[Statement]:
        """The first and the last position that the unit depends on, map by map, where both come along one path."""
        pairs = dict(zip(self.way.first, self.way.last, strict=True))
        return self.over(
            self.way.first, lambda hop: tuple(e for e in (end(hop, "first"), end(pairs[hop], "last")) if e is not None)
        )

    def end(self, which: str) -> list[Statement]:
        """One end, map by map."""
        hops = self.way.first if which == "first" else self.way.last
        return self.over(hops, lambda hop: tuple(e for e in (end(hop, which),) if e is not None))

    def ends_forward(self, which: str) -> list[Statement]:
        """One end of unit 0 in pixels, from the input on; plain sliding windows only."""
        hops = self.way.first if which == "first" else self.way.last
        value: Any = 0
        jump: Any = 1

        def make(hop: Hop) -> tuple[Equation, ...]:
            nonlocal value, jump
            value, made = moved(value, jump, hop.rule, which)
            jump, jumped = leap(jump, hop.rule)
            return (made, jumped)

        return self.over(hops[::-1], make)

    def sum(self) -> Equation:
        """1 and what every layer adds, in the order of the layers."""
        jump: Any = 1
        added = []
        for hop in self.way.first[::-1]:
            if type(hop.rule) is Slide:
                amount = hop.rule.dilation * (hop.rule.kernel - 1) * jump
                if decide(amount == 0) is not True:
                    added.append(amount)
                jump = jump * hop.rule.stride
        return Equation("size", TOGETHER, {"x": tuple(added)}, 1 + sum(added))


def back(size: Any, index: Any) -> tuple[Any, Equation]:
    """One step of the lesson's walk."""
    if decide(index.dilation == 1) is True:
        rule, operands = BACK, {"F": size, "s": index.stride, "k": index.kernel}
    else:
        rule, operands = BACK_DILATED, {"F": size, "s": index.stride, "d": index.dilation, "k": index.kernel}
    value = rule(**operands)
    return value, Equation("F", rule, operands, value, ("F",))


def grow(size: Any, jump: Any, index: Any) -> tuple[Any, Equation]:
    """One step of the size from the input on."""
    if decide(index.dilation == 1) is True:
        rule, operands = GROW, {"r": size, "k": index.kernel, "S": jump}
    else:
        rule, operands = GROW_DILATED, {"r": size, "d": index.dilation, "k": index.kernel, "S": jump}
    value = rule(**operands)
    return value, Equation("r", rule, operands, value, ("r", "S"))


def leap(jump: Any, index: Any) -> tuple[Any, Equation]:
    """One step of the stride from the input on."""
    if type(index) is Slide:
        operands = {"S": jump, "s": index.stride}
        value = JUMP(**operands)
        return plainly(value), Equation("S", JUMP, operands, plainly(value), ("S",))
    operands = {"S": Fraction(jump), "A": index.advance, "P": index.period}
    value = plainly(JUMP_BACK(**operands))
    return value, Equation("S", JUMP_BACK, operands, value, ("S",))


def padded(value: Any, jump: Any, index: Slide) -> tuple[Any, Equation]:
    """One step of the effective padding."""
    operands = {"P": value, "S": jump, "a": -index.first}
    made = PADS(**operands)
    return made, Equation("P", PADS, operands, made, ("P", "S"))


def centred(value: Any, jump: Any, index: Slide) -> tuple[Any, Equation]:
    """One step of the centre of unit 0."""
    kernel = Fraction(index.kernel) if hasattr(index.kernel, "__index__") else index.kernel
    operands = {"c": value, "S": jump, "k": kernel, "a": -index.first}
    rule = CENTRES
    if decide(index.dilation == 1) is not True:
        rule, operands = CENTRES_DILATED, {**operands, "d": index.dilation}
    made = plainly(rule(**operands))
    return made, Equation("c", rule, operands, made, ("c", "S"))


def moved(value: Any, jump: Any, index: Slide, which: str) -> tuple[Any, Equation]:
    """One step of an end of unit 0, from the input on."""
    operands: dict[str, Any]
    if which == "first":
        rule, operands = FIRST_ON, {"A": value, "S": jump, "a": -index.first}
    elif decide(index.dilation == 1) is True:
        rule, operands = LAST_ON, {"B": value, "S": jump, "k": index.kernel, "a": -index.first}
    else:
        operands = {"B": value, "S": jump, "d": index.dilation, "k": index.kernel, "a": -index.first}
        rule = LAST_ON_DILATED
    made = rule(**operands)
    return made, Equation(which, rule, operands, made, ("A", "B", "S"))


def end(hop: Hop, which: str) -> Equation | None:
    """The first (last) position that a unit reads of the map before; None where no formula says it."""
    index, u = hop.rule, hop.unit
    if type(index) is Slide:
        return _sliding(index, u, which)
    if type(index) is Table:
        start = index.advance * (u // index.period)
        operands = {"A": index.advance, "u": u, "P": index.period, "t": hop.reads - start}
        return Equation(which, PHASE, operands, hop.reads, ("u",))
    if type(index) is All and which == "last":
        return Equation(which, END, {"n": index.extent}, hop.reads)
    return None


def _sliding(index: Slide, u: Any, which: str) -> Equation:
    after = decide(index.first > 0) is True
    operands: dict[str, Any] = {"s": index.stride, "u": u}
    operands |= {"o": index.first} if after else {"a": -index.first}
    if which == "first":
        rule = FIRST_AFTER if after else FIRST
    elif decide(index.dilation == 1) is True:
        rule = LAST_AFTER if after else LAST
        operands["k"] = index.kernel
    else:
        rule = LAST_DILATED
        operands = {"s": index.stride, "u": u, "a": -index.first, "d": index.dilation, "k": index.kernel}
    return Equation(which, rule, operands, rule(**operands), ("u",))
