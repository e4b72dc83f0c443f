"""Ratios and changes, exact: fractions of whole numbers, quotients of formulas; and how they are written.

A percentage always says of what: `change(first, other)` is how much more (or less) `other` is, in percent of `first`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rfcalc.core.size import Size, is_number, same

LONGEST = 9  # characters of a fraction that is still read as one


def ratio(first: Size, other: Size) -> Any:
    """first / other: a `Fraction`, a formula where symbols stay, None where there is nothing to divide by.

    >>> ratio(27, 49), ratio(3, 0)
    (Fraction(27, 49), None)
    """
    if is_number(first) and is_number(other):
        return None if other == 0 else Fraction(int(first), int(other))
    if same(other, 0):
        return None
    from rfcalc.comparison.formulas import quotient

    return quotient(first, other)


def difference(first: Size, other: Size) -> Size:
    """other − first."""
    if is_number(first) and is_number(other):
        return other - first
    from rfcalc.comparison.formulas import difference as formula

    return formula(first, other)


def change(first: Size, other: Size) -> Fraction | None:
    """(other − first) / first in percent, or None where it depends on symbols or `first` is 0.

    >>> change(27, 49), change(4, 3)
    (Fraction(2200, 27), Fraction(-25, 1))
    """
    found = ratio(other, first)
    return (found - 1) * 100 if isinstance(found, Fraction) else None


def decimals(value: Fraction) -> str:
    """A fraction as a decimal: three places, below a tenth three digits; rounded half up.

    >>> decimals(Fraction(27, 49)), decimals(Fraction(1, 300)), decimals(Fraction(3))
    ('0.551', '0.00333', '3')
    """
    sign, value = ("−", -value) if value < 0 else ("", value)
    if value.denominator == 1:
        return f"{sign}{value.numerator:,}"
    places = 0 if value >= 1000 else 3
    while value < Fraction(1, 10) and value * 10**places < 100 and places < 12:
        places += 1
    scaled = (value * 10**places * 2 + 1) // 2
    whole, rest = divmod(scaled, 10**places)
    text = f"{whole:,}.{rest:0{places}d}" if places else f"{whole:,}"
    return sign + text


def ratio_text(value: Any) -> str:
    """A ratio for people: the fraction where it is short, and its decimal.

    >>> ratio_text(Fraction(27, 49)), ratio_text(Fraction(3)), ratio_text(Fraction(25557032, 22120384))
    ('27/49 = 0.551', '3', '1.155')
    """
    if value is None:
        return "–"
    if not isinstance(value, Fraction):
        from rfcalc.comparison.formulas import written

        return written(value)
    fraction = str(value)
    if value.denominator == 1 or len(fraction) > LONGEST:
        return decimals(value)
    return f"{fraction} = {decimals(value)}"


def percent(value: Fraction) -> str:
    """A percentage without its sign: whole from 10 on, else with as many places as two digits need.

    >>> [percent(Fraction(v)) for v in ("2200/27", "-2.84", "0.0471", "0.00002", "99.77")]
    ['81 %', '2.8 %', '0.05 %', 'less than 0.01 %', '99.8 %']
    """
    value = abs(value)
    if value == 0:
        return "0 %"
    places = 0 if value * 2 >= 19 else 1 if value >= 1 else 2
    scaled = (value * 10**places * 2 + 1) // 2
    while value < 100 and scaled >= 100 * 10**places:  # nearly all is not all
        places += 1
        scaled = (value * 10**places * 2 + 1) // 2 if places < 3 else value * 10**places // 1
    if scaled == 0:
        return "less than 0.01 %"
    whole, rest = divmod(scaled, 10**places)
    return f"{whole:,}.{rest:0{places}d} %" if places else f"{whole:,} %"


def change_text(value: Fraction | None) -> str:
    """A change with its sign, for a table.

    >>> change_text(Fraction(2200, 27)), change_text(Fraction(-25)), change_text(Fraction(0)), change_text(None)
    ('+81 %', '−25 %', 'same', '–')
    """
    if value is None:
        return "–"
    return "same" if value == 0 else f"{'+' if value > 0 else '−'}{percent(value)}"


def more(value: Fraction, noun: str, than: str) -> str:
    """A change in words: ``81 % more weights than A``.

    >>> more(Fraction(2200, 27), "weights", "A"), more(Fraction(250), "weights", "A")
    ('81 % more weights than A', '3.5 times as many weights as A')
    >>> more(Fraction(-25), "weights", "A"), more(Fraction(0), "weights", "A")
    ('25 % fewer weights than A', 'as many weights as A')
    """
    times = value / 100 + 1
    exact = {Fraction(1): "", Fraction(2): "twice ", Fraction(1, 2): "half "}.get(times)
    if exact is not None:
        return f"{exact}as many {noun} as {than}"
    if times >= 3:
        told = str(times) if times.denominator == 1 else decimals(times).rstrip("0").rstrip(".")
        return f"{told} times as many {noun} as {than}"
    return f"{percent(value)} {'more' if value > 0 else 'fewer'} {noun} than {than}"
