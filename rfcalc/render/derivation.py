"""A derivation in lines of letters, as terminals and plain text show it: name, notation and equations in columns.

The layout keeps the roles of parts; it is wide where the terminal is, stacked where it is narrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from rfcalc.report.document import Derivation, DerivationLine, Span, Text, pieces, words

PAGE = 120  # sentences are wrapped at this in a pipe


def lines(steps: Derivation, width: int | None) -> Iterator[Text]:
    """The lines of a derivation; `width` None: as long as they need, but for sentences."""
    if steps.title:
        yield from wrapped(f"{steps.title}:", width)
    room = max((len(words((formula,))) for formula, _ in steps.formulas), default=0)
    for formula, source in steps.formulas:
        told = joined("  ", padded((formula,), room), "   ", source)
        if len(words(told).rstrip()) <= (width or PAGE):
            yield told if source else joined("  ", (formula,))
        else:
            yield joined("  ", (formula,))
            yield from wrapped(source, width, "      ")
    if steps.formulas and any(step.name or step.equations for step in steps.lines):
        yield ""
    yield from _steps(steps.lines, width)
    for note in steps.notes:
        yield from wrapped(note, width, "  ")


def _steps(found: tuple[DerivationLine, ...], width: int | None) -> Iterator[Text]:
    """The steps in columns; stacked where the terminal is too narrow."""
    name = max((len(step.name) for step in found), default=0)
    notation = max((len(step.notation) for step in found), default=0)
    columns = _columns(found)
    for step in found:
        named = f"{step.name.ljust(name)}  {step.notation.ljust(notation)}" if name else ""
        before = f"  {named}  " if named.strip() else "  "
        alone = list(step.equations)
        texts = alone
        if columns and len(alone) > 1:
            texts = [joined(*(p for t, w in zip(alone, columns, strict=True) for p in (padded(t, w), "   ")))]
        if step.text:
            beside = bool(texts) and len(before) + _length(texts[0]) + 3 + len(words(step.text)) <= (width or PAGE)
            texts = [joined(_stripped(texts[0]), "   ", step.text), *texts[1:]] if beside else [*texts, step.text]
            alone = [*alone, step.text]
        if len(texts) == 1 and not step.equations and not named.strip():
            yield from wrapped(texts[0], width, before)
        elif width is None or all(len(before) + _length(t) <= width for t in texts):
            for i, text in enumerate(texts or [""]):
                yield joined(before if i == 0 else " " * len(before), text)
        else:
            if named.strip():
                yield f"  {step.name}  {step.notation}".rstrip()
            for text in alone:
                yield from wrapped(text, width, "      ")


def _columns(found: tuple[DerivationLine, ...]) -> list[int]:
    """Column widths, where all lines evaluate the same two or three things."""
    several = [step.equations for step in found if len(step.equations) > 1]
    heads = {tuple(words(e).partition(" = ")[0] for e in equations) for equations in several}
    if len(heads) != 1 or not 2 <= len(next(iter(heads))) <= 3:
        return []
    widths = [max(map(_length, column)) for column in zip(*several, strict=True)]
    return widths if sum(widths) < 100 else []


def _length(text: Text) -> int:
    return len(words(text).rstrip())


def joined(*texts: Text) -> Text:
    """One text of several."""
    return tuple(part for text in texts for part in ((text,) if isinstance(text, str) else text))


def padded(text: Text, width: int) -> Text:
    """A text with spaces behind it."""
    return joined(text, " " * (width - len(words(text))))


def _stripped(text: Text) -> Text:
    """A text without spaces behind it."""
    return _cut(text, 0, _length(text))


def _cut(text: Text, first: int, end: int) -> Text:
    """The letters first … end − 1 of a text, in their roles."""
    found: list[str | Span] = []
    at = 0
    for part, role in pieces(text):
        kept = part[max(first - at, 0) : max(end - at, 0)]
        at += len(part)
        if kept:
            found.append(Span(kept, role) if role else kept)
    return tuple(found)


def wrapped(text: Text, width: int | None, indent: str = "") -> Iterator[Text]:
    """A text in lines within the width, those after the first two letters further in; roles stay."""
    whole = words(text)
    room = max(width or PAGE, 20)
    if len(indent) + len(whole) <= room:
        yield joined(indent, text)
        return
    at = 0
    for i, line in enumerate(wrap(whole, room, initial_indent=indent, subsequent_indent=indent + "  ") or [indent]):
        before = indent + "  " * bool(i)
        start = whole.find(line[len(before) :], at)
        at = start + len(line) - len(before)
        yield joined(before, _cut(text, start, at))
