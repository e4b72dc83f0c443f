"""Writes the pages that are made from the zoo and the claims: `python docs/make.py`; a test keeps them fresh."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

from rfcalc import zoo
from rfcalc.claims.files import networks, shipped
from rfcalc.claims.judging import JudgedClaim, Reports, judge
from rfcalc.report import Report
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
other input sizes, auxiliary heads) and says "unexplained" where none fits. They are claims that expect a mismatch
(`rfcalc check --all`), and turn red should they ever match. [The same as a table that can be searched, with a link to
every row](published-numbers-table.html).

This page is made by `python docs/make.py`.
"""

ABOUT_CLAIMS = """
## Published numbers that do

{matching:,} printed figures follow from the layers, and so do the derived ones, which are printed by no source: counted
in PyTorch on a network that was written independently, or by hand, and held here so that a change is noticed. Digits
decide: "138M" means at least 137.5M and below 138.5M. [The table](published-numbers-table.html) has a row for each,
with what is printed, what rfcalc computes, and where it is printed.
"""

ABOUT_OPEN = """
## Open

{open} printed figures differ from what the network comes to as a package builds it, and no cause is known: another
counter, another build, or a slip. Who knows one can tell it, with the page that prints it.
"""

FIRST = ("24M", "93MB", "358M")
NEWEST = ("papers.rfclaims.toml",)
CUT_OFF = "Cut off, not rounded."


def figures(result: JudgedClaim) -> tuple[str, ...]:
    claim = result.claim
    return (f"`{claim.network}`", claim.name, claim.told, result.computed, claim.source)


def row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def side(values: object) -> str:
    """One number where all axes agree."""
    if not isinstance(values, tuple) or None in values:
        return "–"
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def network_rows(results: list[JudgedClaim]) -> list[str]:
    confirming: dict[str, JudgedClaim] = {}
    rank = ("params", "macs", "params@", "sum(params", "rf@", "")

    def place(result: JudgedClaim) -> int:
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


def networks_page(results: list[JudgedClaim]) -> str:
    head = "| network | | input | params | macs | receptive field | stride | confirmed by |"
    return "\n".join([ABOUT_NETWORKS, head, "|---" * 8 + "|", *network_rows(results), "", pyramid(), ""])


def numbers_page(results: list[JudgedClaim]) -> str:
    errata = known_errata(results)
    lines = [
        ABOUT_ERRATA,
        told_counts(results),
        "",
        "| network | claim | printed | computed | source | why |",
        "|---|---|---|---|---|---|",
    ]
    lines += [row((*figures(r), why(r))) for r in errata if not is_open(r)]
    lines += [ABOUT_OPEN.format(open=sum(map(is_open, errata))), *lines[3:5]]
    lines += [row((*figures(r), why(r))) for r in errata if is_open(r)]
    matching = sum(r.claim.expect == "match" and not r.claim.derived for r in results)
    return "\n".join([*lines, ABOUT_CLAIMS.format(matching=matching)])


def known_errata(results: list[JudgedClaim]) -> list[JudgedClaim]:
    """What does not follow: slips (the best known, then those of the newest files), cuts, and open ones last."""

    def place(r: JudgedClaim) -> tuple[bool, bool, int, int]:
        file = NEWEST.index(name) if (name := r.claim.file.path.name) in NEWEST else len(NEWEST)
        told = FIRST.index(r.claim.told) if r.claim.told in FIRST else len(FIRST)
        return is_open(r), r.claim.note == CUT_OFF, told, file

    return sorted((r for r in results if r.claim.expect == "mismatch"), key=place)


def is_open(result: JudgedClaim) -> bool:
    """Whether nobody knows how a figure that does not follow came about."""
    return result.claim.note.startswith("Open:")


def why(result: JudgedClaim) -> str:
    """The note of an erratum, and what would make it true."""
    found = result.explanation
    if found is None or found.told:
        return result.claim.note
    told = str(found)
    return f"{result.claim.note} {told[:1].upper()}{told[1:]}."


def told_counts(results: list[JudgedClaim]) -> str:
    derived = sum(r.claim.derived for r in results)
    errata = len(known_errata(results))
    return f"{len(results) - derived} printed figures, of which {errata} do not follow, and {derived} derived ones."


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Published numbers, checked</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem;
  background: #fff; color: #1b1b1b }}
table {{ border-collapse: collapse; width: 100%; table-layout: fixed }}
th, td {{ text-align: left; padding: .3rem .5rem; border-bottom: 1px solid #ccc; vertical-align: top;
  overflow-wrap: anywhere }}
th:nth-child(1) {{ width: 1.6rem }} th:nth-child(2) {{ width: 13% }} th:nth-child(3) {{ width: 14% }}
th:nth-child(4), th:nth-child(5) {{ width: 9% }} th:nth-child(6) {{ width: 4.6rem }} th:nth-child(7) {{ width: 19% }}
td:nth-child(4), td:nth-child(5) {{ font-variant-numeric: tabular-nums }}
input, select {{ font: inherit; padding: .3rem .5rem; margin: 0 .5rem 1rem 0; max-width: 100%; box-sizing: border-box }}
a.row {{ text-decoration: none; color: #0a58ca }}
tr:target {{ background: #fff3c4 }}
tr.erratum td:nth-child(6) {{ color: #a02020 }}
@media (max-width: 60rem) {{
  table, tbody, tr, td {{ display: block }} thead {{ display: none }}
  tr {{ padding: .4rem 0; border-bottom: 1px solid #ccc }} tr[hidden], td:empty {{ display: none }}
  td {{ padding: .05rem 0 .05rem 5.6rem; border: 0; min-height: 1.45em; position: relative }}
  td::before {{ position: absolute; left: 0; color: #666 }}
  td:nth-child(1) {{ position: absolute; right: .5rem; padding: 0 .5rem }} tr {{ position: relative }}
  td:nth-child(2) {{ font-weight: 600; padding-right: 2rem }}
  td:nth-child(2)::before {{ content: "network"; font-weight: 400 }} td:nth-child(3)::before {{ content: "claim" }}
  td:nth-child(4)::before {{ content: "printed" }} td:nth-child(5)::before {{ content: "computed" }}
  td:nth-child(6)::before {{ content: "kind" }} td:nth-child(7)::before {{ content: "source" }}
  td:nth-child(8)::before {{ content: "why" }}
}}
@media (prefers-color-scheme: dark) {{
  body {{ background: #16181c; color: #e8e8e8 }} th, td, tr {{ border-color: #444 }} a.row {{ color: #8ab4f8 }}
  td::before {{ color: #a0a0a0 }}
  tr:target {{ background: #4a3d00 }} tr.erratum td:nth-child(6) {{ color: #ff9a8f }}
}}
</style></head><body>
<h1>Published numbers, checked</h1>
<p>{counts} Type to filter, <code>network:resnet</code> in one
column; the sign before a row is its link. Made by <code>python docs/make.py</code>.</p>
<form><input id="text" type="search" placeholder="filter: resnet params" aria-label="filter" size="40">
<select id="kind" aria-label="kind"><option value="">all</option><option>erratum</option><option>printed</option>
<option>derived</option></select> <output id="shown"></output></form>
<table><thead><tr><th></th><th>network</th><th>claim</th><th>printed</th><th>computed</th><th>kind</th><th>source</th>
<th>why</th></tr></thead><tbody>
{rows}
</tbody></table>
<script>
const text = document.getElementById("text"), kind = document.getElementById("kind");
const rows = [...document.querySelectorAll("tbody tr")];
const columns = [...document.querySelectorAll("th")].map(cell => cell.textContent);
const texts = rows.map(row => [...row.cells].map(cell => cell.textContent.toLowerCase()));
function holds(cells, word) {{
  const [name, ...rest] = word.split(":");
  const column = rest.length && name ? columns.indexOf(name) : -1;
  return column < 0 ? cells.some(cell => cell.includes(word)) : cells[column].includes(rest.join(":"));
}}
function filter() {{
  const words = text.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  rows.forEach((row, i) => {{
    row.hidden = !(words.every(w => holds(texts[i], w)) && (!kind.value || row.classList.contains(kind.value)));
    count += !row.hidden;
  }});
  document.getElementById("shown").textContent = count + " of " + rows.length;
  const asked = new URLSearchParams();
  if (text.value) asked.set("q", text.value);
  if (kind.value) asked.set("kind", kind.value);
  history.replaceState(null, "", (String(asked) ? "?" + asked : location.pathname) + location.hash);
}}
const asked = new URLSearchParams(location.search);
text.value = asked.get("q") || "";
kind.value = asked.get("kind") || "";
text.oninput = kind.oninput = filter;
document.querySelector("form").onsubmit = event => event.preventDefault();
filter();
</script></body></html>
"""


def html_page(results: list[JudgedClaim]) -> str:
    """All claims as one table that can be filtered, errata first; every row has an address of its own."""
    rows, seen = [], set()
    ordered = [*known_errata(results), *(r for r in results if r.claim.expect == "match")]
    for r in ordered:
        kind = "erratum" if r.claim.expect == "mismatch" else "derived" if r.claim.derived else "printed"
        name = re.sub(r"[^a-z0-9]+", "-", f"{r.claim.network} {r.claim.name}".lower()).strip("-")
        anchor, number = name, 2
        while anchor in seen:
            anchor, number = f"{name}-{number}", number + 1
        seen.add(anchor)
        cut = ", truncated" if r.claim.printed is not None and r.claim.printed.rounding == "truncated" else ""
        cells = (r.claim.network, r.claim.name, r.claim.told + cut, r.computed, kind, r.claim.source)
        told = why(r) if kind == "erratum" else r.claim.note
        body = "".join(f"<td>{escape(cell)}</td>" for cell in (*cells, told))
        rows.append(f'<tr id="{anchor}" class="{kind}"><td><a class="row" href="#{anchor}">#</a></td>{body}</tr>')
    return PAGE.format(counts=told_counts(results), rows="\n".join(rows))


def pages() -> dict[Path, str]:
    """What the generated pages should hold."""
    results = judge(shipped(), Reports())
    assert all(networks(r.claim) for r in results)
    return {
        HERE / "networks.md": networks_page(results),
        HERE / "published-numbers.md": numbers_page(results),
        HERE / "published-numbers-table.html": html_page(results),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
