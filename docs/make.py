"""Writes the pages that are made from the zoo and the claims: `python docs/make.py`; a test keeps them fresh."""

from __future__ import annotations

import json
from pathlib import Path

from rfcalc import zoo
from rfcalc.claims import judge, shipped
from rfcalc.claims.files import networks
from rfcalc.claims.judging import Reports, Result
from rfcalc.report.report import Report
from rfcalc.zoo.fpn import ANCHORS, RATIOS

HERE = Path(__file__).parent
MEASURED = json.loads((HERE.parent / "tests" / "data" / "networks.json").read_text())

ABOUT_NETWORKS = """# Networks

Every network that `rfcalc list` names, computed at its own input size: parameters, multiply-adds, and the receptive
field and stride of its last layer that still has a place in the image. The last column says what confirms it: a
published number (a claim of `rfcalc check NAME`), and the model that it was compared with layer by layer: parameters,
running statistics, multiply-adds, and the parameters and output shape of every layer with weights
(`tests/data/networks.json`; packages by name, or the source after which the network was written again in torch).

This page is made by `python docs/make.py`.
"""

ABOUT_ERRATA = """# Published numbers that do not add up

Numbers in print that the layers contradict, each with what rfcalc computes and what would make it true: it tries a
closed list of changes (truncation, biases, FLOPs for multiply-adds, MiB, K = 1024, variants of the network, the paper's
other input sizes, auxiliary heads), one or two at once, and says "unexplained" where none fits. They are claims that
expect a mismatch (`rfcalc check --all`), and turn red should they ever match.

This page is made by `python docs/make.py`.
"""

ABOUT_CLAIMS = """## Published numbers that do

The same check, for what does follow from the layers. Digits decide: "138M" means at least 137.5M and below 138.5M.
"""

FIRST = ("24M", "93MB", "358M")


def figures(result: Result) -> tuple[str, ...]:
    claim = result.claim
    return (f"`{claim.network}`", claim.name, claim.told, result.computed, claim.source)


def row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def side(values: object) -> str:
    """One number where all axes agree."""
    if not isinstance(values, tuple) or None in values:
        return "–"
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def network_rows(results: list[Result]) -> list[str]:
    confirming: dict[str, Result] = {}
    rank = ("params", "macs", "params@", "sum(params", "rf@", "")

    def place(result: Result) -> int:
        what = result.claim.what
        return next(i for i, r in enumerate(rank) if what == r or (r not in rank[:2] and what.startswith(r)))

    for result in results:
        name = result.claim.network
        if result.verdict == "match" and zoo.find(name) is not None:
            known = confirming.get(name)
            if known is None or place(result) < place(known):
                confirming[name] = result
    lines = []
    for entry in zoo.entries():
        report = Report(entry.build())
        field = report.receptive_field(report.last_spatial) if report.last_spatial else None
        size, stride = (side(field.size), side(field.stride)) if field is not None else ("–", "–")
        claim = confirming.get(entry.name)
        proof = [f"{claim.claim.name}: {claim.claim.told} ({claim.claim.source})"] if claim is not None else []
        proof += [MEASURED[entry.name]["source"]] if entry.name in MEASURED else []
        shape = " ".join(str(s) for s in report.inputs.values())
        totals = (f"{report.totals.params:,}", f"{report.totals.macs:,}")
        lines.append(row((f"`{entry.name}`", entry.title, shape, *totals, size, stride, "; ".join(proof))))
    return lines


def pyramid() -> str:
    report = Report(zoo.build("fpn-resnet50"))
    lines = ["## The levels of the pyramid", "", f"`fpn-resnet50`; anchors of aspect ratio {', '.join(RATIOS)}.", ""]
    lines += ["| level | output | receptive field | stride | anchor |", "|---|---|---|---|---|"]
    for output in report.outputs:
        field, anchor = output.receptive_field, ANCHORS[output.name]
        size = f"≤ {side(field.size)}" if field.status == "periodic" else side(field.size)
        shape = "×".join(map(str, output.output_shape))
        lines.append(row((output.name, shape, size, side(field.stride), f"{anchor}×{anchor}")))
    return "\n".join(lines)


def networks_page(results: list[Result]) -> str:
    head = "| network | | input | params | macs | receptive field | stride | confirmed by |"
    return "\n".join([ABOUT_NETWORKS, head, "|---" * 8 + "|", *network_rows(results), "", pyramid(), ""])


def numbers_page(results: list[Result]) -> str:
    errata = [r for r in results if r.claim.expect == "mismatch"]
    errata.sort(key=lambda r: next((i for i, text in enumerate(FIRST) if r.claim.told == text), len(FIRST)))
    lines = [ABOUT_ERRATA, "| network | claim | printed | computed | source | why |", "|---|---|---|---|---|---|"]
    for r in errata:
        told = str(r.explanation)
        lines.append(row((*figures(r), f"{r.claim.note} {told[:1].upper()}{told[1:]}.")))
    lines += ["", ABOUT_CLAIMS, "| network | claim | printed | computed | source |", "|---|---|---|---|---|"]
    for r in results:
        if r.claim.expect == "match":
            cut = ", truncated" if r.claim.printed is not None and r.claim.printed.rounding == "truncated" else ""
            network, name, told, computed, source = figures(r)
            lines.append(row((network, name, told + cut, computed, source)))
    return "\n".join([*lines, ""])


def pages() -> dict[Path, str]:
    """What the generated pages should hold."""
    results = judge(shipped(), Reports())
    assert all(networks(r.claim) for r in results)
    return {HERE / "networks.md": networks_page(results), HERE / "published-numbers.md": numbers_page(results)}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
