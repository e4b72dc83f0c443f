"""Reads one layer of the notation: its word and the options behind it, handed to the kind that owns the word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from rfcalc.core.errors import LayerError, NotationError, RfcalcError, suggestion
from rfcalc.core.index import Expression
from rfcalc.core.integers import bound
from rfcalc.core.layer import Layer
from rfcalc.core.size import Size
from rfcalc.core.syntax import SYMBOL, Word, split
from rfcalc.notation.lexicon import kind_of, words
from rfcalc.notation.tokens import Token, Tokens, fault

_NAME = re.compile(r"([A-Za-z]+(?:_[A-Za-z]+)*)-?(?=[\d(?]|$|/)")
_APART = re.compile(r"\s*\(?\s*(\d+(?:[x×]\d+)*)(?:\s*[,-]?\s*(\d+))?")
_SYMBOLIC = re.compile(rf"([A-Za-z_]+?)(?={SYMBOL}(?:$|[-/x×]))")
_LONG = re.compile(r"(stride|padding|pad|dilation|group|bias)s?\s*[=(]*\s*(\d+|same|valid|false)?", re.I)
_SHORT = {"s": "/", "p": "p", "d": "d", "g": "g"}  # the first letter of what is written out, and the option's name
_HEAD = re.compile(r"([A-Za-z]+(?:_[A-Za-z]+)*)(.*)$", re.DOTALL)


class ReadBefore:
    """Words and layers that were read before; texts that are read one after another may share it."""

    def __init__(self) -> None:
        self.words: dict[str, tuple[str, type[Layer], str, str, str]] = {}
        self.layers: dict[str, tuple[Layer, tuple[Expression, ...], str]] = {}


class LayerReader:
    """Layers from tokens. `assumed` collects the defaults that were used; `open` the expressions whose indices no
    repetition has given a range yet."""

    def __init__(self, tokens: Tokens, known: ReadBefore | None = None) -> None:
        self.tokens = tokens
        self.known = known or ReadBefore()
        self.assumed: dict[str, None] = {}
        self.open: list[tuple[Expression, Token]] = []
        self.last: type[Layer] | None = None  # the kind of the layer read last, and where what follows it begins
        self.behind = 0

    def layer(self) -> Layer:
        """The next word and its options."""
        tokens = self.tokens
        start = tokens.now
        found = self.known.words.get(start.text)
        if found is None:
            found = _split(start.text)
            if found is None:
                raise self._unknown(start)
            self.known.words[start.text] = found
        name, kind, size, channels, stride = found
        spelling = kind.spelling
        assert spelling is not None
        tokens.take()
        text = start.text
        taken: list[tuple[str, str, Token]] = []
        while tokens.now.kind == "word":
            token = tokens.now
            option = spelling.option(token.text)
            if option is None or tokens.after() == "=" or tokens.touching() in ("{", "["):
                break
            taken.append((*option, token))
            text += f" {token.text}"
            tokens.take()
        known = self.known.layers.get(text)
        if known is None:
            known = self._make(start, name, kind, size, channels, stride, taken)
            self.known.layers[text] = known
        layer, open_values, assumed = known
        if assumed:
            self.assumed[assumed] = None
        self.last, self.behind = kind, tokens.now.start
        for value in open_values:
            self.open.append((value, start))
        return layer

    def _make(
        self,
        start: Token,
        name: str,
        kind: type[Layer],
        size: str,
        channels: str,
        stride: str,
        taken: list[tuple[str, str, Token]],
    ) -> tuple[Layer, tuple[Expression, ...], str]:
        options: dict[str, str] = {"/": stride} if stride else {}
        places: dict[str, Token] = {}
        for option, value, token in taken:
            if option in options:
                what = "the stride is given twice" if option == "/" else f"{option} is given twice"
                raise self._fault(token, what, "write it once")
            options[option] = value
            places[option] = token
        word = Word(start.text, name, size, channels, options)
        from_word: Callable[[Word], Layer] = kind.from_word  # type: ignore[attr-defined]
        try:
            layer = from_word(word)
        except (LayerError, NotationError) as error:
            apart = None if size else self._apart(start, name)
            fault = self._fault(places.get(word.culprit or "", start), error.what, apart or error.fix, error.why)
            fault.mends = apart is not None or (isinstance(error, NotationError) and error.mends)
            raise fault from None
        except (ValueError, TypeError):  # of the kind's own reading; an index where only a number can stand
            raise self._fault(start, f"an option of {name} cannot be read", self._example(kind)) from None
        unused = word.unused()
        if unused is not None:
            told = {"size": "size", "channels": "channels", "/": "stride"}.get(unused, f"option {unused}")
            raise self._fault(places.get(unused, start), f"{name} takes no {told}", self._example(kind))
        assumed = f"{name}: {', '.join(word.defaults)}" if word.defaults else ""
        return layer, tuple(_expressions([*layer.given.values()])), assumed

    def note(self, value: Size, token: Token) -> None:
        """Remember an expression until its indices are known."""
        if isinstance(value, Expression):
            self.open.append((value, token))

    def bind(self, index: str, most: dict[str, int], since: int) -> None:
        """A repetition gives an index its range: refuse what grows too large, forget what is closed now."""
        still: list[tuple[Expression, Token]] = []
        for value, token in self.open[since:]:
            try:
                bound(value, most)
            except RfcalcError as error:
                raise self._fault(token, error.what, error.fix, error.why) from None
            if value.free_symbols - most.keys():
                still.append((value, token))
        self.open[since:] = still

    def _fault(self, token: Token, what: str, fix: str | None = None, why: str | None = None) -> NotationError:
        return fault(self.tokens.text, token.start, token.end, what, fix, why)

    def _apart(self, token: Token, name: str) -> str | None:
        """How to write a layer whose size and channels stand behind it as words: ``conv 3x3, 64``."""
        match = _APART.match(self.tokens.text, token.end)
        if match is None:
            return None
        sizes = match[1].replace("×", "x").split("x")
        size = sizes[0] if len(set(sizes)) == 1 else "x".join(sizes)
        return f"write {name}{size}" + (f"-{match[2]}" if match[2] else "")

    @staticmethod
    def _example(kind: type[Layer]) -> str | None:
        spelling = kind.spelling
        return f"write it like {spelling.example}" if spelling else None

    def _unknown(self, token: Token) -> NotationError:
        match = _HEAD.match(token.text)
        name = match[1] if match else token.text
        near = suggestion(name[:40], list(words()))
        fix = near if near.startswith("did you mean") else "write a layer like conv3-64, maxpool2, relu or fc4096"
        found = kind_of(name) if match else None
        if found is not None:
            fix = self._example(found[1]) or fix
        fix = self._option(token) or fix
        what = f"{token.text[:60]!r} is not a layer"
        before = self.last
        if before is not None and before.spelling is not None and self.behind == token.start:
            options = [*(f"{'s' if v == '/' else v}…" for v in before.spelling.values), *before.spelling.flags]
            if options:
                what += f", nor an option of {before.spelling.words[0]} ({', '.join(options)})"
        fault = self._fault(token, what, fix)
        fault.no_layer = True
        return fault

    def _option(self, token: Token) -> str | None:
        """How an option that is written out (``stride2``, ``padding=1``, as code has it) is written here."""
        match = _LONG.match(self.tokens.text, self.behind, token.end)
        if self.last is None or self.last.spelling is None or match is None:
            return None
        flags, values = self.last.spelling.flags, self.last.spelling.values
        letter, value = match[1][0].lower(), (match[2] or "").lower()
        if letter == "b":
            return "write nobias" if value == "false" and "nobias" in flags else None
        if letter == "p" and value in flags:
            return f"write {value}"
        return f"write {letter}{value if value.isdecimal() else 2}" if _SHORT[letter] in values else None


def _split(text: str) -> tuple[str, type[Layer], str, str, str] | None:
    """(name, kind, size, channels, stride) of a word; None if no kind knows the name."""
    found = kind_of(text)
    if found is not None:
        return *found, "", "", ""
    match = _NAME.match(text)
    found = kind_of(match[1]) if match else None
    if found is None:  # convK-C: a symbol behind the name
        match = _SYMBOLIC.match(text)
        found = kind_of(match[1]) if match else None
    if match is None or found is None:
        return None
    rest = text[match.end(1) :]
    rest, *strides = split(rest, "/")
    size, *channels = split(rest, "-")
    if len(strides) > 1 or len(channels) > 1 or (channels and not channels[0]) or (strides and not strides[0]):
        return None
    if size and not re.match(rf"[\d(?]|{SYMBOL}", size):
        return None
    return *found, size, channels[0] if channels else "", strides[0] if strides else ""


def merged(assumed: Iterable[str]) -> tuple[str, ...]:
    """Assumptions about the same word as one.

    >>> merged(["conv: stride 1", "conv: stride 1, no padding", "lrn: 5 channels"])
    ('conv: stride 1, no padding', 'lrn: 5 channels')
    """
    found: dict[str, dict[str, None]] = {}
    for text in assumed:
        word, _, told = text.partition(": ")
        found.setdefault(word, {}).update(dict.fromkeys(told.split(", ")))
    return tuple(f"{word}: {', '.join(told)}" for word, told in found.items())


def _expressions(values: Any) -> list[Expression]:
    """The expressions with indices in a nested tuple of parameters."""
    found: list[Expression] = []
    for value in values:
        if isinstance(value, Expression):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += _expressions(value)
    return found
