"""Read the models of packages (tests/package_models.py), measure them, and write down how it went.

    RFCALC_PACKAGES=FOLDER python benchmarks/read_packages.py RESULTS.jsonl > docs/package-models.md

Each model is read by rfcalc; a run of the module itself gives its parameters, its multiply-adds (PyTorch's counter),
the shapes of its layers and outputs; its gradient gives the pixels of up to eight units, two at four nodes. A model has
two minutes of CPU time for each; a run that was stopped goes on from its results. `--page` prints what there is.
"""

from __future__ import annotations

import json
import platform
import signal
import sys
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import torch
from more_package_models import MORE
from package_models import MODELS as FIRST
from package_models import Model
from seen import fields
from test_packages import OTHERWISE, built

import rfcalc
from rfcalc.backend.verify import verify
from rfcalc.backend.verify.finding import DISAGREES

MODELS = [*FIRST, *MORE]
LIMIT = 120


class TooLong(Exception):
    """A model took longer than its time."""


def stop(*_: Any) -> None:
    raise TooLong


def figures(module: Any, m: Model) -> tuple[str, str, int]:
    """How parameters, multiply-adds and shapes went, what there is to say, and how many figures were compared."""
    read = rfcalc.from_torch(module, m.shape)
    found = verify(rfcalc.analyze(read), what=("shapes", "params", "macs"), device="cpu").findings
    differ = [f"{f.figure} of {f.node or 'all'}: {f.predicted} | {f.measured}" for f in found if f.verdict == DISAGREES]
    unknown = sorted({f"{u.operator}: {u.why}" if u.why else u.operator for u in read.unknown})
    if differ:
        known = OTHERWISE.get((m.package, m.name))
        return ("explained" if known else "differs"), known or "; ".join(differ[:3]), len(found)
    return ("incomplete" if unknown else "equal"), "; ".join(unknown), len(found)


def seen(module: Any, m: Model) -> tuple[str, str, int]:
    """How receptive fields went, what there is to say, and how many units were compared."""
    found = fields(module, m.shape)
    if found.differ:
        return "differs", "; ".join(found.differ[:2]), found.units
    return ("equal" if found.units else "nothing to compare"), "", found.units


def measured(m: Model, what: str) -> list[Any]:
    """How one model went."""
    try:
        module = built(m)
    except BaseException as error:
        return ["not built", f"{type(error).__name__}: {str(error).splitlines()[0][:120]}", 0]
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        return list(figures(module, m) if what == "figures" else seen(module, m))
    except TooLong:
        return ["not run", f"more than {LIMIT} s", 0]
    except Exception as error:
        return ["not run", f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}", 0]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main(results: Path) -> None:
    """Measure what is not measured yet, first all figures, then fields, and print the page."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, stop)
    torch.set_num_threads(1)
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    done = {(d["what"], d["package"], d["name"]): d["found"] for d in lines}
    if sys.argv[2:] != ["--page"]:
        with results.open("a") as out:
            for what, m in [(what, m) for what in ("figures", "fields") for m in MODELS]:
                key = (what, m.package, m.name)
                if key not in done:
                    done[key] = measured(m, what)
                    line = {"what": what, "package": m.package, "name": m.name, "found": done[key]}
                    out.write(json.dumps(line) + "\n")
                    out.flush()
    names = dict.fromkeys((m.package, m.name) for m in MODELS)
    found = [
        {"package": p, "name": n, **{w: done[w, p, n] for w in ("figures", "fields") if (w, p, n) in done}}
        for p, n in names
    ]
    page([d for d in found if "figures" in d])


def page(done: list[dict[str, Any]]) -> None:
    """The page, on standard output."""
    import datetime

    print("# Models of packages\n")
    print(
        "Written by `benchmarks/read_packages.py`: each model is read; a run of the module itself gives its\n"
        "parameters, its multiply-adds (PyTorch's counter) and the shapes of its layers and outputs, its gradient\n"
        "the pixels of up to eight units (the first and the middle one at four nodes; as in\n"
        "[read-fields.md](read-fields.md)). The packages are pinned in `tests/data/packages.txt` and installed\n"
        "without what they depend on; CI reads the five of `tests/data/packages-small.txt`.\n"
    )
    print(f"{datetime.date.today()}, Python {platform.python_version()}, torch {version('torch')}.\n")
    packages = list(dict.fromkeys(d["package"] for d in done))
    print("| package | models | figures equal | explained | incomplete | differ, not run | fields equal | units |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    total: Counter[str] = Counter()
    for package in [*packages, ""]:
        mine = [d for d in done if package in ("", d["package"])]
        how = Counter(d["figures"][0] for d in mine)
        eyes = [d["fields"] for d in mine if "fields" in d]
        rest = len(mine) - how["equal"] - how["explained"] - how["incomplete"]
        equal = sum(e[0] == "equal" for e in eyes)
        name = package or "all"
        cells = [len(mine), how["equal"], how["explained"], how["incomplete"], rest, equal, sum(e[2] for e in eyes)]
        print(f"| {name} | {' | '.join(map(str, cells))} |")
        total.update(how)
    print("\nNot plainly equal:\n\n| package | model | what | how |\n|---|---|---|---|")
    for d in done:
        for what in ("figures", "fields"):
            how, told, _ = d.get(what, ["equal", "", 0])
            if how not in ("equal", "nothing to compare"):
                print(f"| {d['package']} | {d['name']} | {what} | {how}: {told.replace('|', chr(92) + '|')} |")
    print(
        "\nThe models: "
        + "; ".join(f"{p}: {', '.join(d['name'] for d in done if d['package'] == p)}" for p in packages)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
