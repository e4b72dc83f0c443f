"""The colours of an explanation, by rich: what a line takes over from the line before, and what it gives."""

from __future__ import annotations

from rfcalc.derivation.writing import CARRIED, END, RESULT

STYLES = {CARRIED: "cyan", RESULT: "bold green"}


def colored(text: str) -> str:
    """The text with its marks as terminal colours; the answer is bold.

    >>> colored("F = \\ue0014\\ue002")
    '\\x1b[1mF = \\x1b[0m\\x1b[1;32m4\\x1b[0m'
    """
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    found = Text()
    for i, line in enumerate(text.split("\n")):
        styled = Text("\n" if i else "")
        style = ""
        part = ""
        for sign in line + END:
            if sign not in STYLES and sign != END:
                part += sign
                continue
            styled.append(part, style or ("bold" if i == 0 else ""))
            part, style = "", STYLES.get(sign, "")
        found.append_text(styled)
    out = StringIO()
    console = Console(
        file=out, width=10_000, force_terminal=True, color_system="standard", highlight=False, soft_wrap=True
    )
    console.print(found, end="", markup=False)
    return out.getvalue()
