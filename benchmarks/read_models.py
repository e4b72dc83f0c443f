"""Read every classification and segmentation model of torchvision and a sample of timm's, and write down how it went.

    python benchmarks/read_models.py RESULTS.jsonl [MINUTES] > docs/read-models.md

Each model is read by rfcalc and counted by PyTorch (its own parameters, its FLOP counter on meta tensors, halved). A
model has a minute of CPU time, the whole run MINUTES (25); a run that was stopped goes on from its results.
"""

from __future__ import annotations

import json
import platform
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from model_lists import timm_families, timm_model, timm_sample, torchvision_model, torchvision_names
from reading import built, verdict

LIMIT = 60
EACH = 4


class TooLong(Exception):
    """A model took longer than its time."""


def stop(*_: Any) -> None:
    raise TooLong


def read(made: tuple[Callable[[], Any], tuple[int, ...]]) -> tuple[str, str, list[str]]:
    """How one model went: ``exact``, ``incomplete``, ``differs``, ``fails``, ``too long``; what there is to say; what
    was not understood."""
    signal.setitimer(signal.ITIMER_PROF, LIMIT)  # of CPU time
    try:
        make, shape = made
        found = verdict(built(make), shape)
    except TooLong:
        return "too long", f"more than {LIMIT} s", []
    except Exception as error:
        return "fails", f"{type(error).__name__}: {str(error).splitlines()[0][:160]}", []
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    operators = [f"{u.operator}: {u.why}" if u.why else u.operator for u in found.read.unknown]
    if not found.exact:
        mine = (found.params + sum(found.read.unused.values()), found.macs)
        return "differs", f"parameters and multiply-adds {mine}, PyTorch {found.theirs}", operators
    return ("incomplete" if operators else "exact"), ", ".join(sorted(set(operators))), operators


def wanted() -> list[tuple[str, str]]:
    """Every model, timm's families in turn."""
    return [("timm", n) for n in timm_sample(EACH)] + [("torchvision", n) for n in torchvision_names()]


def run(path: Path, minutes: float) -> list[dict[str, Any]]:
    """Read what is not yet among the results of `path`, one JSON line a model, for so long."""
    results = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(r["source"], r["name"]) for r in results}
    start = time.monotonic()
    for source, name in wanted():
        if (source, name) in done:
            continue
        if time.monotonic() - start > minutes * 60:
            break
        began = time.process_time()
        how, told, operators = read(torchvision_model(name) if source == "torchvision" else timm_model(name))
        found = {"source": source, "name": name, "how": how, "told": told, "operators": operators}
        found |= {"seconds": round(time.process_time() - began, 1), "date": time.strftime("%Y-%m-%d")}
        results.append(found)
        with path.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(source, name, how, told, file=sys.stderr, flush=True)
    return results


def main() -> None:
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, stop)
    results = run(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 25.0)
    families = {n: f for f, names in timm_families().items() for n in names}
    print("# Models that were read\n")
    print("Written by `benchmarks/read_models.py`: each model is built, read by `from_torch`, and counted by PyTorch:")
    print("its own parameters, and `torch.utils.flop_counter` on meta tensors, halved.\n")
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "torchvision", "timm"))
    print(f"{max(r['date'] for r in results)}, Python {platform.python_version()}, {packages}; ", end="")
    print(f"{len(results)} of the {len(wanted())} models of the list: all of torchvision's classification and")
    print("segmentation models, up to four of each of timm's families.\n")
    print("| | models | exact and complete | exact, incomplete | differ | fail or take too long |")
    print("|---|--:|--:|--:|--:|--:|")
    for source in ("torchvision", "timm"):
        count = Counter(r["how"] for r in results if r["source"] == source)
        bad = count["fails"] + count["too long"]
        cells = (count.total(), count["exact"], count["incomplete"], count["differs"], bad)
        print(f"| {source} | {' | '.join(map(str, cells))} |")
    reached = {families[r["name"]] for r in results if r["source"] == "timm"}
    print(f"\nOf timm's {len(set(families.values()))} families (files) {len(reached)} are among them.")
    print("\n*Exact* is equal in parameters (those that evaluation does not use are told apart) and multiply-adds.")
    print(
        "*Incomplete* models have operators that were not understood: these are marked, receptive fields after them are"
    )
    print("unknown, `--strict` refuses them.\n")
    print("## What is not understood\n")
    print("| operator | models |\n|---|---|")
    missing: dict[str, list[str]] = {}
    for r in results:
        for operator in set(r["operators"]):
            missing.setdefault(operator, []).append(r["name"])
    for operator, names in sorted(missing.items(), key=lambda item: (-len(item[1]), item[0])):
        shown = ", ".join(f"`{n}`" for n in names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        print(f"| {operator} | {shown} |")
    print("\n## What differs, fails or takes too long\n")
    print("| model | how | what |\n|---|---|---|")
    for r in results:
        if r["how"] in ("differs", "fails", "too long"):
            print(f"| `{r['name']}` | {r['how']} | {r['told'].replace('|', '/')} |")
    print("\n## All models\n")
    for source in ("torchvision", "timm"):
        own = [r for r in results if r["source"] == source]
        listed = [f"`{r['name']}`" + ("" if r["how"] == "exact" else f" ({r['how']})") for r in own]
        print(f"{source}: {', '.join(listed)}\n")


if __name__ == "__main__":
    main()
