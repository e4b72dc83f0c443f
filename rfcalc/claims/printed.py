"""A value as printed: its digits say how exactly it is known.

"138M" means at least 137.5M and below 138.5M. A printed 150K may be known to three digits or to two: a claim says how
many count where the text leaves it open. A truncated "60M" means at least 60M and below 61M. Imports `errors` only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from rfcalc.core.errors import RfcalcError

_TEXT = re.compile(
    r"(?P<number>-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9][0-9_]*)(?:\.[0-9]+)?)\s*"
    r"(?:[×x]\s*10\^?(?P<power>[0-9]+|[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|[eE]\+?0*(?P<exponent>[0-9]{1,2})(?![0-9])|(?P<unit>[A-Za-z%]+))?"
    r"\s*(?P<what>[A-Za-z]*)$"
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_POWERS = {"K": 1, "M": 2, "G": 3, "B": 3, "T": 4}
_WORDS = {"thousand": "K", "million": "M", "billion": "G", "trillion": "T"}
_UNITS = (
    "",
    "b",
    "byte",
    "bytes",
    "mac",
    "macs",
    "flop",
    "flops",
    "ops",
    "params",
    "parameters",
    "px",
    "pixel",
    "pixels",
)

_QUANTITIES = {
    "bytes": ("b", "byte", "bytes"),
    "macs": ("mac", "macs"),
    "flops": ("flop", "flops"),
    "params": ("params", "parameters"),
    "pixels": ("px", "pixel", "pixels"),
}

NEAREST, TRUNCATED = "nearest", "truncated"


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed value: its text, its number without the scale, the scale, and the place of its last known digit.

    `quantity` is what its unit counts. `step` is what one more in the last known digit is worth; `scale` belongs to the
    letter (K = 1000 or 1024).
    """

    text: str
    number: Fraction
    letter: str
    place: Fraction
    k: int = 1000
    rounding: str = NEAREST
    quantity: str = ""  # what its unit counts

    @property
    def scale(self) -> Fraction:
        if self.letter == "%":
            return Fraction(1, 100)
        if self.letter.startswith("10^"):
            return Fraction(10 ** int(self.letter[3:]))
        base = 1024 if self.letter.endswith("i") else self.k
        return Fraction(base ** _POWERS[self.letter[0]]) if self.letter else Fraction(1)

    @property
    def value(self) -> Fraction:
        return self.number * self.scale

    @property
    def step(self) -> Fraction:
        return self.place * self.scale

    def holds(self, value: Fraction) -> bool:
        """Whether a value prints so.

        >>> read("138M").holds(Fraction(138357544)), read("138M").holds(Fraction(138500000))
        (True, False)
        """
        low = self.value if self.rounding == TRUNCATED else self.value - self.step / 2
        return low <= value < low + self.step

    def like(self, value: Fraction) -> str:
        """A computed value, written as the printed one, with two digits more."""
        if not self.letter and self.place >= 1 and value.denominator == 1:
            return f"{int(value):,}"
        places = 2
        while self.place * 10**places < 100 and places < 8:
            places += 1
        scaled = value / self.scale
        decimals = max(0, places if self.place < 1 else 2)
        shown = f"{float(scaled):,.{decimals}f}"
        letter = "%" if self.letter == "%" else self.letter.replace("10^", "×10^")
        return f"{shown}{letter}"


def read(text: str, *, k: int = 1000, digits: int | None = None, rounding: str = NEAREST) -> Printed:
    """Read a printed value.

    Args:
        text: ``138M``, ``15.5G``, ``2.7K``, ``0.551``, ``81 %``, ``1,728``, ``60 million``, ``3.8×10^9``, ``3.8e9``,
            ``93MB``.
        k: what K stands for, 1000 or 1024 (M is its square).
        digits: how many significant digits count; all that are printed if None.
        rounding: ``nearest`` or ``truncated``.

    Raises:
        RfcalcError: what is no number, or more digits than are printed.

    >>> read("1,38M")  # a comma stands between thousands
    Traceback (most recent call last):
        ...
    rfcalc.core.errors.RfcalcError: '1,38M' is not a printed value
      fix: write it like 138M, 15.5G, 2.7K, 0.551, 81 %, 1,728, 60 million, 3.8×10^9 or 58.1MiB
    >>> read("800K", digits=1).holds(Fraction(802816)), read("800K").holds(Fraction(802816))
    (True, False)
    """
    match = _TEXT.match(text.strip())
    unit = (match["unit"] or "") if match else ""
    rest = match["what"].lower() if match else ""
    letter = _letter(unit)
    if match is None or letter is None or rest not in _UNITS:
        raise RfcalcError(
            f"{text!r} is not a printed value",
            fix="write it like 138M, 15.5G, 2.7K, 0.551, 81 %, 1,728, 60 million, 3.8×10^9 or 58.1MiB",
        )
    if match["power"] or match["exponent"]:
        letter = "10^" + (match["exponent"] or match["power"].translate(_RAISED))
    plain = match["number"].replace(",", "").replace("_", "")
    whole, _, decimals = plain.lstrip("-").partition(".")
    place = Fraction(1, 10 ** len(decimals))
    if digits is not None:
        shown = len((whole + decimals).lstrip("0")) or 1
        if not 1 <= digits <= shown:
            told = f"{text!r} has {shown} digits, so {digits} of them cannot count"
            raise RfcalcError(told, fix="count those that are printed")
        dropped = (whole + decimals)[len(whole + decimals) - (shown - digits) :] if digits < shown else ""
        if dropped.strip("0"):
            fix = "digits says which trailing zeros are not known; count the others"
            told = f"{text!r} is printed with {shown} digits, and those beyond {digits} are not zeros"
            raise RfcalcError(told, fix=fix)
        place *= 10 ** (shown - digits)
    return Printed(text, Fraction(plain), letter, place, k, rounding, _quantity(unit, rest))


def _quantity(unit: str, rest: str) -> str:
    """What a unit counts: ``bytes``, ``macs``, ``flops``, ``params`` or ``pixels``; "" where it says nothing.

    >>> _quantity("MB", ""), _quantity("GFLOPs", ""), _quantity("M", "params"), _quantity("M", ""), _quantity("B", "")
    ('bytes', 'flops', 'params', '', '')
    """
    if unit == "B":
        return next((name for name, words in _QUANTITIES.items() if rest in words), "")  # billions
    word = (re.sub(r"^[KkMGBT]i?(?=.)", "", unit) if unit.lower() not in _UNITS else unit).lower()
    for text in (rest, word):
        for name, words in _QUANTITIES.items():
            if text in words:
                return name
    return ""


def _letter(unit: str) -> str | None:
    """The scale letter of a unit ("MB", "million", "GFLOPs", "%"), None if there is no such unit."""
    if unit in ("", "%"):
        return unit
    if unit.lower() in _WORDS:
        return _WORDS[unit.lower()]
    if unit.lower() in _UNITS and unit != "B":
        return ""
    match = re.match(r"([KkMGBT]i?)([A-Za-z]*)$", unit)
    if match is None or match[2].lower() not in _UNITS:
        return None
    return match[1][0].upper() + match[1][1:]
