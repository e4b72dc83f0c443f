"""Sizes that code refuses by itself: an assertion, or an error that it raises under a condition on sizes.

At a size that is refused there is no graph, but the statement that refused it is in the traceback, with the values of
its names. What is compared there (`h == self.image_size`, `h % 16 == 0`) is told from readings at several sizes: what
is the same in all of them is a constant, one that differs must follow the length of one input axis. The condition
itself is then evaluated for every size, as Python would, with numbers that stand for classes of sizes.
"""

from __future__ import annotations

import ast
import dis
import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from textwrap import dedent
from types import CodeType, FrameType
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError, ShapeError
from rfcalc.core.lengths import Length, Share, Watched, atoms, evaluated, plain
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network

FOREIGN = ("torch", "rfcalc", "contextlib")
LAYERS = "torch.nn.modules."  # whose code asks for lengths as the user's does
ASKED = {"size", "dim", "len", "isinstance", "is_scripting", "is_tracing", "is_exporting", "is_compiling"}
PARTS = (1, 2, 4, 8, 16, 32, 64, 3, 7, 14)  # what a length may have been divided by before it is compared
BLOCKS = ("body", "orelse", "finalbody")
CALLED: dict[str, Any] = {"min": min, "max": max}
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)
Values = dict[str, Any]


class Refusal(NamedTuple):
    """A statement that refused a size: where it is, what it tests (true: refused), the values of what it compares."""

    where: str
    test: ast.expr
    told: str
    values: Values
    names: dict[str, str]  # what stands for each value in the test → the source


class Guard(NamedTuple):
    """A condition of the code on the input's sizes."""

    where: str
    told: str
    code: CodeType
    fixed: Values
    rules: dict[str, Callable[[Sequence[Shape]], Any]]
    names: dict[str, str]

    def check(self, shapes: Sequence[Shape]) -> None:
        """Refuse sizes as the code does.

        Raises:
            ShapeError: it refuses them.
        """
        # the user's own condition, with numbers in the place of everything that it looks up
        own = {name: rule(shapes) for name, rule in self.rules.items()}
        try:
            refuses = eval(self.code, {"__builtins__": {}, **CALLED}, {**self.fixed, **own})  # noqa: S307
        except ZeroDivisionError:
            raise ShapeError("the code divides by a length that is 0 at this size", why=self.where) from None
        if refuses:
            values = {**own, **{name: v for name, v in self.fixed.items() if v not in (None, True, False)}}
            numbers = ", ".join(f"{self.names[name]} is {value}" for name, value in values.items())
            raise ShapeError("the code refuses this size by itself", why=f"{self.told}; {numbers} ({self.where})")


def refusal_of(error: BaseException | None) -> Refusal | None:
    """The statement of the user's code that raised an error on purpose, if one did and its condition can be read."""
    looking: AbstractContextManager[Any] = nullcontext()
    while isinstance(error, RfcalcError):
        looking, error = error.looking or looking, error.__cause__
    frame, line = _innermost(error)
    if frame is None:
        return None
    try:
        source, first = inspect.getsourcelines(frame.f_code)
        (function,) = ast.parse(dedent("".join(source))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    line -= first - 1 if first else 0
    found = _condition(function, line)
    if found is None:
        return None
    test, told = found
    values: Values = {}
    names: dict[str, str] = {}
    try:
        test = _Atoms(frame, values, names, looking).visit(test)
    except _Unread:
        return None
    where = f"{Path(frame.f_code.co_filename).name}, line {line + first - 1 if first else line}"
    return Refusal(where, test, told, values, names)


def deliberate(error: BaseException | None) -> bool:
    """Whether code refused a size on purpose, whether its condition can be read or not."""
    told = refusal_of(error) is not None
    while isinstance(error, RfcalcError):
        error = error.__cause__
    return told or isinstance(error, AssertionError)


def raised(error: BaseException | None) -> bool:
    """Whether a statement of the user's code refused a size: an assertion, or a raise anywhere, in a loop too, a
    division by a length that is 0, more or fewer pieces than it has names for, what an operator does with lengths alone
    (positions that a table does not have); or an operator of a file, by what it asked last."""
    if deliberate(error) or (isinstance(error, RfcalcError) and (error.decided or error.emptied)):
        return True
    while isinstance(error, RfcalcError):
        error = error.__cause__
    if isinstance(error, ZeroDivisionError) or getattr(error, "by_lengths", False) or _unpacks(error):
        return True
    frame, line = _innermost(error)
    try:
        source, first = inspect.getsourcelines(frame.f_code) if frame is not None else ([], 0)
        found = ast.walk(ast.parse(dedent("".join(source))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    line -= first - 1 if first else 0
    raises = [n for n in found if isinstance(n, ast.Raise) and n.exc is not None]
    return any(n.lineno <= line <= (n.end_lineno or n.lineno) for n in raises)


def guard(refusals: Sequence[tuple[Sequence[Shape], Refusal]]) -> Guard | None:
    """The condition that refused several sizes at one statement; None where what it compares follows no input axis."""
    one = refusals[0][1]
    fixed: Values = {}
    rules: dict[str, Callable[[Sequence[Shape]], Any]] = {}
    for name in one.values:
        told = [plain(r.values[name]) for _, r in refusals]
        if all(value == told[0] for value in told):
            fixed[name] = told[0]
            continue
        rule = _rule(told, [shapes for shapes, _ in refusals])
        if rule is None:
            return None
        rules[name] = rule
    return _guard(one, fixed, rules)


def exact_guard(refusal: Refusal, heard: Watched, network: Network) -> Guard | None:
    """The condition that refused a size, where all that it compares is computed from lengths of the inputs, or from
    none; None where it is not."""
    fixed: Values = {}
    rules: dict[str, Callable[[Sequence[Shape]], Any]] = {}
    for name, value in refusal.values.items():
        rule = None if heard.lost else _computed(value, heard, list(network.inputs))
        if rule is None:
            return None
        if any(isinstance(v, Length) for v in (value if isinstance(value, tuple) else (value,))):
            rules[name] = rule
        else:
            fixed[name] = value
    return _guard(refusal, fixed, rules)


def _guard(one: Refusal, fixed: Values, rules: dict[str, Callable[[Sequence[Shape]], Any]]) -> Guard | None:
    """The condition of a refusal, where it compares lengths; None where it does with them what classes of sizes do not
    (a quotient, a power, digits)."""
    for node in ast.walk(one.test):
        other = isinstance(node, ast.BinOp) and not isinstance(node.op, OPERATORS)
        other = other or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert))
        if other and any(isinstance(n, ast.Name) and n.id in rules for n in ast.walk(node)):
            return None
    if not rules:
        return None
    code = compile(ast.fix_missing_locations(ast.Expression(one.test)), one.where, "eval")
    return Guard(one.where, one.told, code, fixed, rules, one.names)


def _computed(value: Any, heard: Watched, inputs: Sequence[str]) -> Callable[[Sequence[Shape]], Any] | None:
    """A value that code compared, as a function of the inputs' shapes."""
    if isinstance(value, tuple):
        parts = [_computed(v, heard, inputs) for v in value]
        return None if None in parts else partial(_tuple, parts)
    if isinstance(value, Share):
        return None
    if not isinstance(value, Length):
        return partial(_constant, value)
    places = [heard.places.get((a.map, a.axis)) if a.map >= 0 else None for a in atoms(value.made)]
    if any(place is None or place[0] not in inputs for place in places):
        return None
    found = [(inputs.index(place[0]), place[1]) for place in places if place is not None]
    return partial(_evaluated, value.made, found)


def _evaluated(made: Any, places: Sequence[tuple[int, int]], shapes: Sequence[Shape]) -> Any:
    return evaluated(made, iter([shapes[source].dims[i] for source, i in places]))


def _innermost(error: BaseException | None) -> tuple[FrameType | None, int]:
    found: tuple[FrameType | None, int] = (None, 0)
    at = None if error is None else error.__traceback__
    while at is not None:
        name = at.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in FOREIGN or name.startswith(LAYERS):
            found = (at.tb_frame, at.tb_lineno)
        at = at.tb_next
    return found


def _unpacks(error: BaseException | None) -> bool:
    """Whether a statement that names each of several failed for their number."""
    at = None if error is None else error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is None or not isinstance(error, ValueError):
        return False
    stopped = (i.opname for i in dis.get_instructions(at.tb_frame.f_code) if i.offset == at.tb_lasti)
    return next(stopped, "").startswith("UNPACK_")


def _condition(function: ast.stmt, line: int) -> tuple[ast.expr, str] | None:
    """What is true where the statement at a line refuses, and how it is written."""
    conditions: list[ast.expr] = []
    at: Any = function
    while True:
        inside = [(b, s) for b in BLOCKS for s in getattr(at, b, []) if s.lineno <= line <= (s.end_lineno or s.lineno)]
        if not inside:
            return None
        block, inner = inside[0]
        if isinstance(at, ast.If):
            conditions.append(at.test if block == "body" else ast.UnaryOp(ast.Not(), at.test))
        elif not isinstance(at, (ast.FunctionDef, ast.With)):
            return None  # a loop, a try: what was compared before is not known
        at = inner
        if not isinstance(at, (ast.If, ast.With)):
            break
    if isinstance(at, ast.Raise):
        told = f"the code refuses {' and '.join(map(ast.unparse, conditions))}"
    else:
        test = _asserted(at)
        if test is None:
            return None
        conditions.append(ast.UnaryOp(ast.Not(), test))
        told = f"the code demands {ast.unparse(test)}"
    if not conditions:
        return None
    return (ast.BoolOp(ast.And(), conditions) if len(conditions) > 1 else conditions[0]), told


def _asserted(at: ast.stmt) -> ast.expr | None:
    """The condition of ``assert test``, ``torch._assert(test, …)`` and ``torch._check(test, …)``."""
    if isinstance(at, ast.Assert):
        return at.test
    if isinstance(at, ast.Expr) and isinstance(at.value, ast.Call) and at.value.args:
        called = at.value.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return at.value.args[0] if name in ("_assert", "_check") else None
    return None


class _Unread(Exception):
    """A condition on something else than numbers."""


class _Atoms(ast.NodeTransformer):
    """Puts names in the place of what is looked up, and notes the values."""

    def __init__(
        self, frame: FrameType, values: Values, names: dict[str, str], looking: AbstractContextManager[Any]
    ) -> None:
        self.frame, self.values, self.names, self.looking = frame, values, names, looking

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLED:
            if node.keywords or node.func.id in {**self.frame.f_globals, **self.frame.f_locals}:
                raise _Unread
            return ast.Call(node.func, [self.visit(a) for a in node.args], [])
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
            return self._looked_up(node)
        if isinstance(
            node,
            (
                *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Tuple, ast.Constant),
                *(ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.expr_context),
            ),
        ):
            return self.generic_visit(node)
        raise _Unread

    def _looked_up(self, node: ast.expr) -> ast.expr:
        for inner in ast.walk(node):  # nothing is called that could do anything
            if isinstance(inner, ast.Call):
                called = inner.func
                if (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) not in ASKED:
                    raise _Unread
        text = ast.unparse(node)
        try:
            with self.looking:
                value = eval(text, self.frame.f_globals, self.frame.f_locals)  # noqa: S307
        except Exception:
            raise _Unread from None
        if isinstance(value, (list, tuple)):
            value = tuple(value)
        whole = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(v, (int, float, str, type(None))) for v in whole):
            raise _Unread
        name = next((n for n, t in self.names.items() if t == text), f"value{len(self.names)}")
        self.values[name], self.names[name] = value, text
        return ast.Name(name, ast.Load())


def _rule(told: Sequence[Any], shapes: Sequence[Sequence[Shape]]) -> Callable[[Sequence[Shape]], Any] | None:
    if all(isinstance(v, tuple) and len(v) == len(told[0]) for v in told):
        parts = [_rule([v[i] for v in told], shapes) for i in range(len(told[0]))]
        return None if None in parts else partial(_tuple, parts)
    if len(set(told)) == 1:
        return partial(_constant, told[0])
    if not all(type(v) is int for v in told):
        return None
    found = []
    for source, x in enumerate(shapes[0]):
        for i in range(len(x.dims)):
            dims = [int(s[source].dims[i]) for s in shapes]
            if len(set(dims)) == 1:
                continue
            for k in PARTS:
                for rule in (_down, _up):
                    if all(v == rule(k, n) for v, n in zip(told, dims, strict=True)):
                        found.append((len(set(dims)), partial(_of, partial(rule, k), source, i)))
    return max(found, key=lambda f: f[0])[1] if found else None


def _down(k: int, n: Any) -> Any:
    return n // k


def _up(k: int, n: Any) -> Any:
    return -(-n // k)


def _constant(value: Any, shapes: Sequence[Shape]) -> Any:
    return value


def _tuple(rules: Sequence[Any], shapes: Sequence[Shape]) -> Any:
    return tuple(rule(shapes) for rule in rules)


def _of(rule: Callable[[Any], Any], source: int, i: int, shapes: Sequence[Shape]) -> Any:
    return rule(shapes[source].dims[i])
