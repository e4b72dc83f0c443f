"""Reads networks in the papers' notation.

::

    network  = { header } chain
    header   = ("name" | "title" | "citation" | "input" | "outputs") ":" value (";" | newline)
    chain    = sum { (">" | "->" | "=>" | ",") sum }              one after another; in braces "," parts branches
    sum      = segment { ("|" | "+" | "*") segment }       branches, joined; * binds before + before |
    segment  = item { item } { "x" count [":" index] }     items side by side; the count repeats all of them
    item     = label "=" item                              a name for the value
             | atom { "~" label }                          a weight group
    atom     = word { option }                             a layer: conv3-64/2 p1, maxpool2, relu
             | "(" chain ")"
             | label "{" chain "}"                         a block: names inside are dotted
             | label "[" chain "]"                         a stage: a heading
             | "@" label                                   the value of an earlier node or input
             | "side(" chain ")"                           a branch that ends: what comes in passes by
             | "{" [chain { "," chain }] "}" layer         branches joined by any layer of several inputs
             | "series(" [chain] ")"                       a chain that stays a unit of its own
    word     = name [ size ] [ "-" channels ] [ "/" stride ]
    count    = digits | "(" expression ")" | capital letter (a symbol, for `rfcalc symbolic`)
    label    = letters, digits, "_.-/" | a text in quotes

``#`` begins a comment. The kinds declare and read their own words (`Layer.spelling`, `Layer.from_word`); this file
knows no kind but the three that the signs stand for. Errors show the line with a caret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from json import loads
from typing import Any, NamedTuple

from rfcalc.core.errors import NetworkError, NotationError, RfcalcError
from rfcalc.core.expr import (
    DEEPEST,
    MOST_NODES,
    Block,
    Expr,
    Named,
    Parallel,
    Ref,
    Repeat,
    Series,
    Shared,
    Side,
    Stage,
)
from rfcalc.core.index import Expression, Var
from rfcalc.core.integers import bound, read
from rfcalc.core.layer import Layer
from rfcalc.core.size import Size, is_number
from rfcalc.core.syntax import SYMBOL
from rfcalc.graph.network import Network
from rfcalc.notation.define import Definition
from rfcalc.notation.header import Header, read_header
from rfcalc.notation.layers import LayerReader, ReadBefore, merged
from rfcalc.notation.lexicon import kind_of
from rfcalc.notation.tokens import Token, Tokens, fault

_COUNT = re.compile(rf"[x×](?:(\d+)|(\(.*\)|{SYMBOL}))(?::(?:([^\W\d]\w*)|(\".*\")))?$", re.DOTALL)
_SIGNS = ("|", "+", "*")
_MERGES = {"|": "concat", "+": "add", "*": "multiply"}
_CLOSES = {"(": ")", "{": "}", "[": "]"}


class Reading(NamedTuple):
    """What a text says: the expression, the header, which defaults it took, and where its labels stand."""

    expr: Expr
    assumptions: tuple[str, ...] = ()
    header: Header = Header()
    text: str = ""
    labels: tuple[tuple[str, int, int], ...] = ()
    symbolic: tuple[Expression, ...] = ()  # sizes with names that no repetition explains

    @property
    def channel(self) -> str:
        """What the channels of the input are called where none is given: the first layer's own name for its channels,
        so that the layer keeps them; C where it has none.

        >>> parse("conv3-K", symbols=True).channel, parse("conv1-64 > conv3-64 > conv1-C", symbols=True).channel
        ('K', 'C')
        """
        waiting: list[Any] = [self.expr]
        while waiting:
            one = waiting.pop()
            out = getattr(one, "out_channels", getattr(one, "out_features", None))
            if out is not None:
                return out.name if isinstance(out, Var) else "C"
            parts = getattr(one, "items", None) or getattr(one, "branches", None) or (getattr(one, "body", None),)
            waiting += [p for p in reversed(parts) if p is not None]
        return "C"

    def network(self) -> Network:
        """The network that the text describes.

        Raises:
            NotationError: a name that stands twice, a reference to nothing, with the place in the text.
        """
        head = self.header
        try:
            return Network(
                self.expr,
                dict(head.inputs) if head.inputs else None,
                outputs=head.outputs,
                name=head.name,
                title=head.title,
                citation=head.citation,
            )
        except ZeroDivisionError:
            raise NotationError("an expression divides by zero in one of the copies") from None
        except NetworkError as error:
            for label, start, end in reversed(self.labels):
                if label == error.label:
                    raise fault(self.text, start, end, error.what, error.fix, error.why) from None
            raise


def parse(
    text: str, symbols: bool = False, blocks: Mapping[str, Definition] | None = None, known: ReadBefore | None = None
) -> Reading:
    """Read a network.

    Args:
        text: one line or many.
        symbols: whether sizes may be symbols (``conv3-C``); otherwise every name must be the index of a repetition.
        blocks: blocks that may be used by name: ``inception(64, 96, 128)``.
        known: words and layers that earlier texts had.

    Raises:
        NotationError: with the line, a caret, what was expected, and a suggestion.

    >>> parse("conv3-64 relu x2 > maxpool2").expr
    (Conv(64, 3, padding=1) >> Activation('relu')) * 2 >> MaxPool(2)
    """
    header, at = read_header(text)
    parser = _Parser(Tokens(text, at), blocks or {}, known)
    expr = in_series(parser.chain(None))
    parser.close_indices(symbols)
    symbolic = tuple(value for value, _ in parser.reader.open)
    return Reading(expr, merged(parser.reader.assumed), header, text, tuple(parser.labels), symbolic)


def in_series(items: list[Expr]) -> Expr:
    """The items as one expression."""
    return items[0] if len(items) == 1 else Series(tuple(items))


class _Parser:
    """Recursive descent, one call of `chain` and `segment` a level of nesting."""

    def __init__(self, tokens: Tokens, blocks: Mapping[str, Definition], known: ReadBefore | None = None) -> None:
        self.tokens = tokens
        self.blocks = blocks
        self.reader = LayerReader(tokens, known)
        self.labels: list[tuple[str, int, int]] = []
        self.depth = 0
        self.count = 0
        self.indices: dict[str, int] = {}  # the largest value of each index that has been closed

    def fault(self, token: Token, what: str, fix: str | None = None, why: str | None = None) -> NotationError:
        return fault(self.tokens.text, token.start, token.end, what, fix, why)

    def guarded(self, token: Token, make: Callable[[], Expr]) -> Expr:
        """An expression whose own checks (limits, arity, labels) point at a token."""
        try:
            return make()
        except RfcalcError as error:
            if isinstance(error, NotationError) and error.where:
                raise  # it has its place
            raise self.fault(token, error.what, error.fix, error.why) from None

    def chain(self, opened: Token | None, closes: str = "end") -> list[Expr]:
        """What stands one after another up to the closing sign, which is left for the caller."""
        self.depth += 1
        first = self.tokens.now
        if self.depth > DEEPEST + 1:
            raise self.fault(first, "the groups are nested too deeply", f"the limit is {DEEPEST} levels")
        steps: list[Expr] = []
        branches: list[list[Expr]] = []
        signs: list[str] = []
        while True:
            items = self.segment()
            sign = self.tokens.now.kind
            if sign in _SIGNS:
                branches.append(items)
                signs.append(self.tokens.take().kind)
                continue
            if branches:
                parts = [in_series(b) for b in (*branches, items)]
                items = [self.guarded(first, lambda parts=parts, signs=signs: _join(parts, signs))]  # type: ignore[misc]
                branches, signs = [], []
            steps += items
            if sign != ">" and (sign != "," or closes == "}"):
                break
            self.tokens.take()
        now = self.tokens.now
        if now.kind != closes and not (closes == "}" and now.kind == "," and opened and opened.kind == "{"):
            if now.kind == "end" and opened is not None:
                raise self.fault(opened, f"this {opened.text!r} is never closed", f"close it with {closes!r}")
            if now.kind == "string":
                raise self.fault(
                    now, "a text in quotes is a label", 'write "block 1"[…], "block 1"{…} or "a b"=conv3-64'
                )
            expected = "'>', '|', '+', a layer" + ("" if opened is None else f", {closes!r}")
            raise self.fault(now, f"{now.text!r} was not expected here", f"what may follow: {expected}")
        self.depth -= 1
        return steps

    def segment(self) -> list[Expr]:
        """Items side by side, and how often they are repeated."""
        first = self.tokens.now
        since = len(self.reader.open)
        items: list[Expr] = []
        while True:
            now = self.tokens.now
            count = _COUNT.match(now.text) if now.kind == "word" and self.tokens.after() != "=" else None
            if count is not None and self.tokens.touching() not in ("{", "[", "="):
                if not items:
                    raise self.fault(now, "there is nothing to repeat before this", "write conv3-64 x2")
                self.tokens.take()
                items = [self.repeat(items, now, count, since)]
            elif now.kind in ("word", "string", "(", "{", "@", "keyword"):
                self.item(items)
            else:
                break
        if not items:
            now = self.tokens.now
            what = "the text ends, and a layer was expected" if now.kind == "end" else "a layer was expected here"
            fix = "write one, like conv3-64"
            if now.kind == "[":
                fix = "a stage needs a name before its bracket: stem[conv3-64]"
            elif first.kind == "=":
                fix = "a name stands before its sign: stem=conv3-64"
            raise self.fault(now, what, fix)
        return items

    def repeat(self, items: list[Expr], token: Token, count: re.Match[str], since: int) -> Expr:
        if count[1] and (len(count[1]) > 12 or not 1 <= int(count[1]) <= MOST_NODES):
            number = count[1] if len(count[1]) > 12 else f"{int(count[1]):,}"
            what = f"{number} repetitions are too many" if int(count[1][:12]) else "nothing can be repeated 0 times"
            raise self.fault(token, what, f"the limit is {MOST_NODES:,}")
        index = self.text_of(token, count[4]) if count[4] else count[3]
        times: Size

        def make() -> Expr:
            nonlocal times
            times = int(count[1]) if count[1] else read(count[2])
            self.reader.note(times, token)
            if index is not None:
                self.indices[index] = max(self.indices.get(index, 0), bound(times, self.indices) - 1)
                self.reader.bind(index, self.indices, since)
            return Repeat(in_series(items), times, index)

        return self.guarded(token, make)

    def close_indices(self, symbols: bool) -> None:
        """Refuse names in sizes that no repetition explains."""
        if symbols or not self.reader.open:
            return
        value, token = self.reader.open[0]
        names = ", ".join(sorted(value.free_symbols))
        raise self.fault(
            token,
            f"{names} is not the index of a repetition",
            f"repeat it with that index (x4:{names}), or use `rfcalc symbolic` for symbols",
        )

    def item(self, items: list[Expr]) -> None:
        """One item, put after the others; the layers of a plain group join them."""
        names: list[Token] = []
        while self.tokens.now.kind in ("word", "string") and self.tokens.after() == "=":
            names.append(self.tokens.take())
            self.tokens.take()
            if len(names) > DEEPEST:
                raise self.fault(names[-1], "the names are nested too deeply", f"the limit is {DEEPEST} levels")
        start = self.tokens.now
        found = self.atom()
        while self.tokens.now.kind == "~":
            sign = self.tokens.take()
            label = self.label(sign)
            found = [self.guarded(sign, lambda found=found, label=label: Shared(in_series(found), label))]  # type: ignore[misc]
        for token in reversed(names):
            label = self.text_of(token)
            self.labels.append((label, token.start, token.end))
            found = [self.guarded(token, lambda found=found, label=label: Named(in_series(found), label))]  # type: ignore[misc]
        self.count += 1
        if self.count > MOST_NODES:
            raise self.fault(start, "the network is too large", f"the limit is {MOST_NODES:,} nodes")
        items += found

    def atom(self) -> list[Expr]:
        """One atom; of a plain group its items."""
        tokens = self.tokens
        token = tokens.now
        if token.kind in ("word", "string") and tokens.touching() in ("{", "["):
            tokens.take()
            label = self.text_of(token)
            self.labels.append((label, token.start, token.end))
            opened = tokens.take()
            body = self.chain(opened, _CLOSES[opened.kind])
            if tokens.now.kind == ",":
                raise self.fault(tokens.now, "a block has no branches", "leave a space before { for branches")
            tokens.take()
            made = Block if opened.kind == "{" else Stage
            return [self.guarded(token, lambda: made(in_series(body), label))]
        if token.kind == "word":
            definition = self.blocks.get(token.text.partition("(")[0])
            if definition is not None:
                return self.use(tokens.take(), definition)
            return [self.reader.layer()]
        if token.kind == "(":
            body = self.chain(tokens.take(), ")")
            tokens.take()
            return body
        if token.kind == "@":
            tokens.take()
            name = self.label(token)
            self.labels.append((name, token.start, token.end + len(name)))
            return [Ref(name)]
        if token.kind == "{":
            return [self.branches()]
        if token.kind == "keyword":
            tokens.take()
            opened = tokens.take()
            body = [] if token.text == "series" and tokens.now.kind == ")" else self.chain(opened, ")")
            tokens.take()
            return [self.guarded(token, lambda: Side(in_series(body)) if token.text == "side" else Series(tuple(body)))]
        raise self.fault(token, "a text in quotes is a label", 'write "block 1"[…], "block 1"{…} or "a b"=conv3-64')

    def use(self, token: Token, definition: Definition) -> list[Expr]:
        """A defined block with its parameters put in."""

        def make() -> Expr:
            given = definition.arguments(token.text)
            for value in given.values():
                self.reader.note(value, token)
            most = {name: bound(value, self.indices) for name, value in given.items() if is_number(value)}
            for value in definition.expressions:
                if value.free_symbols <= most.keys():
                    bound(value, most)
            return definition.expr.bind(given) if given else definition.expr

        made = self.guarded(token, make)
        self.reader.assumed.update(dict.fromkeys(definition.assumptions))
        self.count += int(made.count) - 1 if is_number(made.count) else 0
        return list(made.items) if isinstance(made, Series) else [made]

    def branches(self) -> Expr:
        """``{a, b} layer``: branches joined by a layer of several inputs."""
        opened = self.tokens.take()
        parts: list[Expr] = []
        while self.tokens.now.kind != "}":
            parts.append(in_series(self.chain(opened, "}")))
            if self.tokens.now.kind == ",":
                self.tokens.take()
        self.tokens.take()
        now = self.tokens.now
        if now.kind != "word":
            raise self.fault(now, "the layer that joins the branches was expected here", "write {a, b} matmul")
        merge: Layer = self.reader.layer()
        return self.guarded(opened, lambda: Parallel(tuple(parts), merge))

    def label(self, after: Token) -> str:
        """The label behind a sign."""
        token = self.tokens.now
        if token.kind not in ("word", "string") or token.start != after.end:
            raise self.fault(
                token, f"a name was expected behind {after.text!r}", f'write {after.text}conv1, or "a name"'
            )
        return self.text_of(self.tokens.take())

    def text_of(self, token: Token, text: str | None = None) -> str:
        text = token.text if text is None else text
        if not text.startswith('"'):
            return text
        try:
            return str(loads(text))
        except ValueError as error:
            raise self.fault(token, f"this is not a text in quotes: {error}", "write \\\\ for a backslash") from None


def _join(parts: list[Expr], signs: list[str]) -> Expr:
    """Branches with signs between them; ``*`` binds tighter than ``+``, ``+`` tighter than ``|``."""
    for sign in ("*", "+", "|"):
        if sign not in signs:
            continue
        joined: list[list[Expr]] = [[parts[0]]]
        left: list[str] = []
        for between, part in zip(signs, parts[1:], strict=True):
            if between == sign:
                joined[-1].append(part)
            else:
                joined.append([part])
                left.append(between)
        found = kind_of(_MERGES[sign])
        assert found is not None
        parts = [group[0] if len(group) == 1 else Parallel(tuple(group), found[1]()) for group in joined]
        signs = left
    return parts[0]
