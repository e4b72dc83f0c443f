"""Names from files, made safe to print: no control character reaches a terminal or leaves its line.

Imports nothing from the project.
"""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, line and paragraph separators, and the signs that turn the direction of writing
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


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
