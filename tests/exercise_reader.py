"""Reads pages and answers them, in a process where rfcalc cannot be imported.

Lines of standard input are items of the bank; lines of standard output their answers by blank, null where no reader
understands the page. What makes a page ambiguous or absurd (two right options, none) is an error.
"""

from __future__ import annotations

import json
import sys

for name in ("rfcalc", "torch", "onnx", "keras"):
    sys.modules[name] = None  # type: ignore[assignment]

from exercise_page import Page, page  # noqa: E402
from exercise_prose import prose  # noqa: E402
from exercise_text import Unreadable, keys  # noqa: E402


def answers(read: Page) -> dict[str, str] | None:
    """The answers of a page; None where no reader understands it."""
    for reader in (keys, prose):
        try:
            return reader(read)
        except Unreadable:
            continue
    return None


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print(json.dumps(answers(page(json.loads(line)))))
        except (AssertionError, ValueError, KeyError, IndexError, TypeError) as error:
            print(json.dumps({"error": repr(error)[:300]}))
