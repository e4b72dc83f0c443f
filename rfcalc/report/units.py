"""Numbers as people read and write them. MB is 10⁶ bytes, MiB 2²⁰; K, M, G, T are decimal.

Imports `errors` and `size` only.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number

SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_NUMBER = re.compile(
    r"([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([kKmMgGtTbB]?i?)(?:[bB](?:ytes?)?|[mM][aA][cC]s?|[fF][lL][oO][pP][sS]?)?$"
)


def short(value: Any, digits: int = 3) -> str:
    """A decimal short form with K, M, G, T: 138M for 138,357,544.

    >>> short(138357544), short(1728), short(999), short(15470264320)
    ('138M', '1.73K', '999', '15.5G')
    """
    if not is_number(value):
        return str(value)
    return _scaled(int(value), (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)), digits)


def _scaled(value: int, scales: tuple[tuple[str, int], ...], digits: int) -> str:
    if abs(value) < 1000:
        return str(value)
    for letter, scale in scales:
        if abs(value) * 2 >= (2 * scale - scale // 10**digits if scale > 1 else scale):
            whole = len(str(abs(value) // scale)) if abs(value) >= scale else 1
            places = max(0, digits - whole)
            scaled = (value * 10**places * 2 + scale) // (2 * scale)
            if len(str(abs(scaled))) > digits and places:
                places -= 1
                scaled = (value * 10**places * 2 + scale) // (2 * scale)
            text = f"{scaled}"
            if places:
                text = f"{scaled // 10**places}.{scaled % 10**places:0{places}d}"
            return f"{text}{letter}"
    return str(value)


def bytes_short(value: Any, digits: int = 3) -> str:
    """Decimal bytes: ``61.0 MB``.

    >>> bytes_short(60950432), bytes_short(512)
    ('61.0 MB', '512 B')
    """
    if not is_number(value):
        return f"{value} B"
    text = short(value, digits)
    number, letter = (text[:-1], text[-1]) if text[-1] in "KMGT" else (text, "")
    return f"{number} {letter.replace('K', 'k')}B"


def binary(value: Any) -> str:
    """Binary bytes with two decimals: ``58.13 MiB``.

    >>> binary(60950432)
    '58.13 MiB'
    """
    if not is_number(value):
        return f"{value} B"
    value = int(value)
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= scale:
            hundredths = (value * 200 + scale) // (2 * scale)
            return f"{hundredths // 100}.{hundredths % 100:02d} {unit}"
    return f"{value} B"


def exact(value: Any) -> str:
    """All digits, grouped by thousands."""
    return f"{int(value):,}" if is_number(value) else str(value)


def rate(text: object) -> Fraction:
    """Positions a second: ``16000``, ``16kHz``, ``44.1k``.

    Raises:
        RfcalcError: what is no number, or not positive.

    >>> rate("44.1kHz"), rate(25)
    (Fraction(44100, 1), Fraction(25, 1))
    """
    number = str(text).strip().lower().removesuffix("hz").strip()
    scale = {"k": 10**3, "m": 10**6}.get(number[-1:], 1)
    try:
        found = Fraction(number.rstrip("km")) * scale
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if found <= 0:
        raise RfcalcError(
            f"the rate {text} is not a number of positions a second",
            why="it must be greater than 0",
            fix="give it like 16000, 44.1kHz or 25",
        )
    return found


SECONDS = {"us": Fraction(1, 10**6), "µs": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": Fraction(1)}
_POWER = re.compile(r"(?:(\d+(?:\.\d+)?)(?:\s*[*×·]\s*10\^|[eE]\+?)|10\^)(\d{1,2})$")
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)(?:\s*@\s*(\S+))?$")


def read(text: str) -> Fraction:
    """A number as printed: ``200k``, ``1.5GMac``, ``58MiB``, ``1,728``, ``10^6``; a time at a rate: ``20ms@16kHz``.

    Raises:
        RfcalcError: for anything else.

    >>> read("200k"), read("58MiB"), read("1,728"), read("20ms@16kHz")
    (Fraction(200000, 1), Fraction(60817408, 1), Fraction(1728, 1), Fraction(320, 1))
    >>> read("10^6"), read("2.5e3")
    (Fraction(1000000, 1), Fraction(2500, 1))
    """
    power = _POWER.match(text.strip())
    if power is not None:
        return Fraction(power[1] or 1) * Fraction(10) ** int(power[2])
    time = _TIME.match(text.strip())
    if time is not None:
        if time[3] is None:
            raise RfcalcError(f"{text!r} has no rate", fix=f"say how many positions a second has: {text.strip()}@16kHz")
        return Fraction(time[1]) * SECONDS[time[2]] * rate(time[3])
    match = _NUMBER.match(text.strip())
    letter = match[2].lower() if match else "?"
    # A lone b is bytes (512B), not a billion, unless it stands where a scale must: 1.5B
    if re.search(r"[<>=]", text):
        fix = "write >= and <=, and a comma between two constraints: 'rf >= 50, params <= 1M'"
        raise RfcalcError(f"{text!r} is not a number", fix=fix)
    if letter not in SCALES or match is None:
        raise RfcalcError(f"{text!r} is not a number", fix="write it like 212, 200k, 1.5GMac, 58MiB or 1,728")
    return Fraction(match[1].replace(",", "").replace("_", "")) * SCALES[letter]


def megabytes(value: Any) -> str:
    """Decimal megabytes with two places; smaller amounts in kB or B."""
    if not is_number(value):
        return f"{value} B"
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= scale:
            hundredths = (int(value) * 200 + scale) // (2 * scale)
            return f"{hundredths // 100}.{hundredths % 100:02d} {unit}"
    return f"{value} B"
