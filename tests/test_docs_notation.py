"""The parts of the docs that are made from the code: the words of every kind, and the example specs."""

from __future__ import annotations

from pathlib import Path

import pytest

import rfcalc
from rfcalc.core.expr import LAYERS
from rfcalc.layers import WHERE
from rfcalc.notation import parse

ROOT = Path(__file__).parent.parent


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def words() -> str:
    """A row for each kind: its example, what holds where nothing is said, its options."""
    rows = ["| kind | example | unless said otherwise | options |", "|---|---|---|---|"]
    for kind in (getattr(rfcalc, name) for name in WHERE):
        if kind not in LAYERS.values():
            continue  # a function that makes one of the kinds
        spelling = kind.spelling
        assert spelling is not None
        values = [f"`{'s' if v == '/' else v}…`" for v in spelling.values]
        options = ", ".join([*values, *(f"`{f}`" for f in spelling.flags)])
        names = ", ".join(f"`{w}`" for w in spelling.words[:4]) + (", …" if len(spelling.words) > 4 else "")
        rows.append(f"| {kind.__name__}: {names} | `{cell(spelling.example)}` | {spelling.defaults} | {options} |")
    return "\n".join(rows)


MADE = {
    "docs/notation.md": ("words", words),
    "docs/spec.md": (
        "googlenet",
        lambda: f"```toml\n{(ROOT / 'docs/examples/googlenet.toml').read_text(encoding='utf-8').rstrip()}\n```",
    ),
}


@pytest.mark.parametrize("page", MADE)
def test_what_is_made_from_the_code_is_up_to_date(page: str, request: pytest.FixtureRequest) -> None:
    mark, make = MADE[page]
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(f"<!-- {mark} -->\n")
    _, _, after = rest.partition(f"<!-- /{mark} -->\n")
    assert after, f"{page} has no place for {mark}"
    new = f"{before}<!-- {mark} -->\n{make()}\n<!-- /{mark} -->\n{after}"
    if request.config.getoption("--regenerate"):
        path.write_text(new, encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") == new, f"{page} is out of date: pytest --regenerate"


def test_the_limits_and_the_grammar_are_those_of_the_code() -> None:
    from rfcalc.core.expr import DEEPEST, MOST_NODES
    from rfcalc.core.integers import LARGEST
    from rfcalc.notation.tokens import LONGEST

    text = (ROOT / "docs/notation.md").read_text(encoding="utf-8")
    assert f"Limits: {LONGEST:,} characters, {DEEPEST} levels, {MOST_NODES:,} nodes" in text
    assert LARGEST == 10**15
    siamese = text.split("```text\n")[1].split("```")[0]
    network = parse(siamese).network()
    assert network.outputs == ("distance",)
    assert [n.group for n in network.nodes if n.group.startswith("w")]
