"""The code blocks of README and docs: `>>>` blocks and `$ rfcalc …` blocks, run and compared with what is printed.

`python tests/blocks.py` writes the real output of every console block into the pages.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> Iterator[str]:
    """The blocks of one language in a page."""
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match[1] == language:
            yield match[2]


def printed(command: str) -> str:
    """What a command prints, in a pipe."""
    from rfcalc.cli import run

    words = shlex.split(command)
    assert words[0] == "rfcalc", command
    bytes_out, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(bytes_out, encoding="utf-8", newline="\n")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        run(words[1:])
        out.flush()
    return bytes_out.getvalue().decode("utf-8") + err.getvalue()


def session(block: str) -> str:
    """A console block with the real output of its commands."""
    found = []
    for line in block.split("\n"):
        if line.startswith("$ "):
            found += [line, *_shown(printed(line[2:]).rstrip("\n").split("\n"), block)]
    return "\n".join(found) + "\n"


def _shown(lines: list[str], block: str) -> list[str]:
    """The output; a block that has a line of … shows only as many lines before and after it as it had."""
    old = block.split("\n")[1:-1]
    if "…" not in old or block.count("\n$ ") > 0:
        return lines
    before, after = old.index("…"), len(old) - old.index("…") - 1
    return [*lines[:before], "…", *lines[len(lines) - after :]]


def main() -> None:
    """Write the real output into every page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = _BLOCK.sub(lambda m: f"```console\n{session(m[2])}```" if m[1] == "console" else m[0], text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
