"""Errors that a person can act on: where, what, why, how to fix it.

Rules raise the bare cause (`what`, `why`, `fix`); the walk adds `where` once; the command line prints the message and
exits with 2. Names from files are made safe to print (`printable`): no control character of theirs reaches a terminal
or leaves its line. Imports nothing from the project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

# C0 and C1 controls, DEL, line and paragraph separators, and the signs that turn the direction of writing
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Advice(NamedTuple):
    """What to do instead, and the input that runs, where that is what it says."""

    text: str
    input: Any = None


class RfcalcError(Exception):
    """A problem with what was asked, told in four parts.

    Of a size that is not taken, `fix` has the valid sizes and the nearest ones. They are worked out once, when the text
    or the fix is first asked for, in a few seconds at most; until then the error keeps the network or the model alive.
    A pickle or a copy has the text, and nothing of these.

    >>> print(RfcalcError("no such network", where="vgg61", fix="did you mean vgg16?"))
    vgg61: no such network
      fix: did you mean vgg16?
    """

    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.own_fix = fix  # without valid sizes
        self.walk: Any = None  # (network, input shapes) where a walk was refused: what to look for valid sizes with
        # a better fix that takes a while: asked where it is told
        self.advice: Callable[[], Advice | None] | None = None
        self.looking: Any = None  # a context in which what stands in the code's frames is looked up as the code saw it
        self.reached: int | None = None  # how many operators of code had run by then
        self.ran: Any = None  # what code had run by then; from its reader on, what makes a network of that
        self.decided = False  # whether the last thing that a file asked of lengths says so
        self.emptied = False  # whether the code runs, and nothing is left of what it makes
        self.asked: Any = None  # (target, input) where a file or code is not read with an input: as for `walk`

    @property
    def fix(self) -> str | None:
        """How to fix it, with the valid sizes where a size is not taken."""
        if self.walk is not None or self.advice is not None or self.asked is not None:
            self.own_fix = import_module("rfcalc.readers.advised").advised(self)
            self.walk = self.advice = self.asked = None
        return self.own_fix

    @fix.setter
    def fix(self, fix: str | None) -> None:
        self.own_fix = fix

    def fixed_as(self, error: RfcalcError) -> RfcalcError:
        """Take how to fix it from another error, valid sizes included; return self."""
        self.own_fix, self.walk, self.advice, self.asked = error.own_fix, error.walk, error.advice, error.asked
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        kept = dict.fromkeys(("walk", "advice", "asked", "looking", "ran"))
        return _made, (type(self), self.args), {**self.__dict__, "own_fix": self.fix, **kept}

    def at(self, where: str, why: str | None = None) -> RfcalcError:
        """Add the place (and what is known there), unless a place nearer to the cause has been named; return self."""
        if self.where is None:
            self.where = where
            if why is not None:
                self.why = why if self.why is None else f"{why}\n{self.why}"
        return self

    def by_answer(self) -> RfcalcError:
        """Say that the last thing that was asked of lengths decides it; return self."""
        self.decided = True
        return self

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        for label, text in (("why", self.why), ("fix", self.fix)):
            if text:
                first, *rest = text.split("\n")
                lines.append(f"  {label}: {first}")
                lines += [f"       {line}" for line in rest]
        return printable_lines("\n".join(lines))


def _made(kind: type[RfcalcError], args: tuple[Any, ...]) -> RfcalcError:
    """An error before it has its parts: the arguments of some kinds are not kept."""
    return kind.__new__(kind, *args)


class ShapeError(RfcalcError):
    """A layer cannot take the map it is given."""


class UnknownSize(RfcalcError):
    """A size at which it is not known what a file makes: neither a map, nor that there is none."""


class NetworkError(RfcalcError):
    """A network is not well formed: a cycle, an unknown reference, a duplicate name, nothing in it.

    Args:
        label: the name that stands twice or names nothing, so that a reader of text can point at it.
    """

    def __init__(self, what: str, *, label: str | None = None, **told: str | None) -> None:
        super().__init__(what, **told)
        self.label = label


class OpenRepetition(NetworkError):
    """How often a part is repeated is a symbol, and a number is needed."""


class NamesCode(RfcalcError):
    """A text names an object of code, which is run only where that is asked for; `text`: the text."""

    def __init__(self, text: str, **told: str | None) -> None:
        super().__init__(f"{text!r} is not a network", **told)
        self.text = text


class LimitError(RfcalcError):
    """What was asked for is larger than the tool is willing to build."""


class LayerError(RfcalcError):
    """A layer was given a parameter that no such layer can have."""


class NotationError(RfcalcError):
    """A network's text cannot be read.

    `no_layer`: a word in it is the name of no layer; `mends`: the fix says what was meant, and nothing else is tried.
    """

    no_layer = mends = False


class UnknownName(RfcalcError):
    """A name (network, node, column, metric, format) that nothing carries."""

    def __init__(self, noun: str, name: str, known: Iterable[str], *, fix: str | None = None) -> None:
        hint = suggestion(name, list(known))
        super().__init__(f"unknown {noun} {name!r}", fix=hint if fix is None else f"{hint}; {fix}" if hint else fix)


class Unsupported(RfcalcError):
    """A framework has no counterpart for a layer."""


class MissingExtra(RfcalcError):
    """An optional package is needed; the message is the command that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        from rfcalc.core.installing import command

        super().__init__(f"{package} is not installed", why="it is an optional part", fix=command(package, extra))


def require_installed(module: str) -> None:
    """Check that an optional package is installed; its extra has the module's name. Nothing is imported.

    Raises:
        MissingExtra: it is not installed; the message holds the command that installs it.
    """
    from importlib.util import find_spec

    try:
        missing = find_spec(module) is None
    except ValueError:  # a placeholder stands in its place
        missing = True
    if missing:
        raise MissingExtra(module, module)


class ConstraintFailed(RfcalcError):
    """A required bound does not hold (exit code 1): every failed constraint with its figure."""


def plural(count: Any, one: str, many: str = "") -> str:
    """A number (or a symbol) and its noun, which is in the plural unless the number is 1.

    >>> plural(1, "weight"), plural(2, "weight"), plural(0, "axis", "axes")
    ('1 weight', '2 weights', '0 axes')
    """
    return f"{count:,} {noun(count, one, many)}" if isinstance(count, int) else f"{count} {noun(count, one, many)}"


def noun(count: Any, one: str, many: str = "") -> str:
    """The noun that goes with a number, or with a symbol, which stands for many.

    >>> noun(1, "pixel"), noun(0, "axis", "axes")
    ('pixel', 'axes')
    """
    return one if isinstance(count, int) and count == 1 else many or one + "s"


def suggestion(name: str, known: Sequence[str], most: int = 12) -> str:
    """What the writer may have meant: close names, else the names there are.

    >>> suggestion("vgg61", ["vgg16", "vgg19", "lenet"])
    'did you mean vgg19 or vgg16?'
    """
    from difflib import get_close_matches

    fold = {k.lower().replace("_", "-"): k for k in known}
    close = get_close_matches(name.lower().replace("_", "-"), fold, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(fold[c] for c in close)}?"
    if not known:
        return ""
    more = f" … and {len(known) - most} more" if len(known) > most else ""
    return f"there is {', '.join(known[:most])}{more}"


def printable(text: str) -> str:
    """The text on one line, control characters spelled as Python does.

    >>> printable("conv1\\n\\x1b[31m"), printable("größe ×2")
    ('conv1\\\\n\\\\x1b[31m', 'größe ×2')
    """
    return text if text.isprintable() else _CONTROLS.sub(_spelled, text)


def printable_lines(text: str) -> str:
    """The same for several lines: line ends and tabs stay.

    >>> printable_lines("a\\n\\tb\\x1b[2J")
    'a\\n\\tb\\\\x1b[2J'
    """
    return _CONTROLS.sub(lambda m: m[0] if m[0] in "\n\t" else _spelled(m), text)


def _spelled(found: re.Match[str]) -> str:
    sign = found[0]
    return _SHORT.get(sign) or (f"\\x{ord(sign):02x}" if ord(sign) < 256 else f"\\u{ord(sign):04x}")
