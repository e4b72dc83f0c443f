"""What a cell can mean: numbers and shapes as people write them. A cell may have several readings.

A reading is exact, or rounded to the last digit that is written: 3.2M is anything from 3.15 M to 3.25 M. `1.728` is
read as 1.728 and as 1728, because some countries group thousands so. Imports `errors` only.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, NamedTuple

_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_NUMBER = re.compile(
    r"[~≈]?\s*([0-9](?:[0-9_ ,.'’]*[0-9])?)\s*(?:[x×*·]\s*10\s*\^?\s*([0-9]{1,2})|e\+?([0-9]{1,2}))?\s*"
    r"(k|m|g|t|b|mio|bn|ki|mi|gi)?"
    r"(?:(b|byte|bytes)|macs?|flops?|params?|parameters|weights|values|px|pixels)?",
    re.I,
)
_HALF = re.compile(r"([0-9]+)\s*([½])")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:([,.'’ _])[0-9]{3})(?:\1[0-9]{3})*")
_SHAPE = re.compile(r"(?:torch\.|tf\.)?(?:size|tensorshape|shape)\s*(?=[(\[])", re.I)  # of how frameworks print one
_PIXELS = re.compile(r"(?<=[0-9½])\s*(?:px|pix|pixels?|positions?|samples?)\b\.?", re.I)
_BETWEEN = re.compile(r"\s*[x×*·,;@]\s*|\s+by\s+|\s+", re.I)
_SLASHES = re.compile(r"[0-9]+(?:\s*/\s*[0-9]+){2,}")
_ABOUT = re.compile(r"^\s*(?:ca\.?|circa|about|approx\.?|approximately|etwa|rund|env\.|environ)\s+(?=[0-9])", re.I)
_REMARK = re.compile(r"(?<=[0-9A-Za-z])\s*\([^\W\d][^\d()]*\)\s*$")  # behind a number: 20 px (side)
EMPTY = frozenset({"", "-", "–", "—", "n/a", "na", "none", "/", "?", "nan", "null"})


class RoundedNumber(NamedTuple):
    """A value, and half a unit of its last digit where it is rounded (0: exact)."""

    value: Fraction
    half: Fraction = Fraction(0)

    def fits(self, wanted: Any) -> bool:
        """Whether the number is this one, rounded as it is written."""
        return bool(abs(self.value - wanted) <= self.half)


def numbers(text: str, scale: int = 1) -> tuple[RoundedNumber, ...]:
    """The readings of a number; none if it is no number.

    Args:
        scale: what the head of the column says ("params (M)": 10⁶), for numbers without a unit of their own.

    >>> [str(n.value) for n in numbers("1,728")], [str(n.value) for n in numbers("1.728")]
    (['1728'], ['1728', '216/125'])
    >>> numbers("3.2M")[0].fits(3211264), numbers("3.2M")[0].fits(3300000), numbers("4½")[0].value
    (True, False, Fraction(9, 2))
    >>> numbers("=1+1"), numbers("10 %"), [int(n.value) for n in numbers("(5*5*3+1)*8 = 608")]
    ((), (), [608])
    """
    text = _result(_bare(text)).strip()
    if len(text) > 60:
        return ()
    half = _HALF.fullmatch(text)
    if half:
        return (RoundedNumber(Fraction(half[1]) + Fraction(1, 2)),)
    if re.fullmatch(r"[0-9]{1,12}\s*/\s*[1-9][0-9]{0,6}", text):
        return (RoundedNumber(Fraction(text.replace(" ", ""))),)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return ()
    letters = (match[4] or "").lower()
    if letters == "b" and match[5] is None:  # 512B is bytes, 1.5B a billion
        letters = "g" if "." in match[1] else ""
    unit = {"mio": "m", "bn": "g", "b": "g"}.get(letters, letters)
    power = int(match[2] or match[3] or 0)
    factor = _SCALES[unit] * 10**power
    rounded = factor > 1
    if not (unit or power or match[5]):
        factor, rounded = scale, scale > 1
    found = []
    for digits, places in _digits(match[1]):
        exact = digits * factor
        error = Fraction(factor, 2 * 10**places) if rounded or text[0] in "~≈" else Fraction(0)
        found.append(RoundedNumber(exact, error))
    return tuple(dict.fromkeys(found))


def _bare(text: str) -> str:
    """A cell without a remark in brackets behind its number; "ca." is a sign."""
    return _ABOUT.sub("≈", _REMARK.sub("", text)) if len(text) <= 120 else text


def _result(text: str) -> str:
    """What stands alone beside the working: 608 in ``608 = (5*5*3+1)*8``; nothing is computed."""
    sides = [side.strip() for side in text.split("=")] if "=" in text and len(text) <= 120 else []
    alone = [side for side in sides if _NUMBER.fullmatch(_PIXELS.sub("", side))]
    return alone[0] if len(alone) == 1 and all(sides) else text


def _digits(text: str) -> list[tuple[Fraction, int]]:
    """The values of digits with separators, and how many decimals each has."""
    found: list[tuple[Fraction, int]] = []
    if _THOUSANDS.fullmatch(text) and not text.startswith("0"):
        found.append((Fraction(re.sub(r"[^0-9]", "", text)), 0))
    plain = text.replace("_", "").replace(" ", "").replace("'", "").replace("’", "")
    comma, point = plain.rfind(","), plain.rfind(".")
    if comma < 0 <= point and plain.count(".") == 1:
        decimal = "."
    elif point < 0 <= comma and plain.count(",") == 1 and not found:
        decimal = ","
    elif comma >= 0 and point >= 0:
        decimal = "," if comma > point else "."
    elif comma < 0 and point < 0:
        decimal = ""
    else:
        return found
    whole, _, part = plain.rpartition(decimal) if decimal else (plain, "", "")
    whole = re.sub(r"[^0-9]", "", whole)
    if part and not part.isdecimal():
        return found
    value = (Fraction(int((whole + part) or "0"), 10 ** len(part)), len(part))
    if value not in found:
        found.append(value)
    return found


def sizes(text: str) -> tuple[Fraction, ...]:
    """The sizes in a shape, in the order in which they are written, without a batch of 1 or None; () if it is none.

    >>> [int(n) for n in sizes("(None, 112, 112, 64)")], [int(n) for n in sizes("224×224×64")]
    ([112, 112, 64], [224, 224, 64])
    >>> [int(n) for n in sizes("torch.Size([1, 32, 7, 7])")], [int(n) for n in sizes("20 px")], sizes("20 apples")
    ([1, 32, 7, 7], [20], ())
    """
    text = _bare(text)
    body = text.replace("/", ",") if _SLASHES.fullmatch(text.strip()) else text
    body = _PIXELS.sub("", _SHAPE.sub("", body)).strip().strip("()[]{}").strip().rstrip(",")
    if len(body) > 100:
        return ()
    parts = [p.strip() for p in _BETWEEN.split(body) if p.strip()]
    if len(parts) > 1 and parts[0].lower() in ("none", "n", "?", "-1", "b", "batch"):
        parts = parts[1:]
    found = []
    for part in parts:
        if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", part):
            found.append(Fraction(part))
        elif _HALF.fullmatch(part):
            found.append(Fraction(part[:-1]) + Fraction(1, 2))
        else:
            return ()
    return tuple(found) if len(found) <= 6 else ()


def lengths(text: str) -> tuple[tuple[Fraction, ...], ...]:
    """The readings of a length on each axis: with a thousands separator or a decimal comma it is one number as well.

    >>> [[int(n) for n in one] for text in ("1,507", "3,0 px", "~3", "3x5") for one in lengths(text)]
    [[1507], [1, 507], [3], [3], [3, 5]]
    """
    text = _result(_bare(text)).strip().lstrip("~≈").strip()
    found = sizes(text)
    plain = _PIXELS.sub("", text).strip()
    if len(found) == 2 and plain.endswith((",0", ",00")):  # no length is 0
        return (found[:1],)
    grouped = _THOUSANDS.fullmatch(plain) and not plain.startswith("0")
    whole = (Fraction(re.sub(r"[^0-9]", "", plain)),) if grouped else ()
    return tuple(one for one in (whole, found) if one)


def empty(text: str) -> bool:
    """Whether nothing is said."""
    return text.strip().lower() in EMPTY
