"""Receptive fields of models written by others, against the gradient of the models themselves, and how it went.

    python benchmarks/read_fields.py RESULTS.jsonl [MINUTES] > docs/read-fields.md

Each model is read by `from_torch`; at up to four nodes all over it, the region of the first and of the middle unit is
compared, pixel by pixel, with where the gradient of the module itself is not zero (`tests/seen.py` says how: double
precision, positive weights, activations without flat pieces, means for maxima, attention in which everything counts).
A model has five minutes of CPU time and 16 GB, the whole run MINUTES (25); a run that was stopped goes on from its
results.
"""

from __future__ import annotations

import json
import platform
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import torch
from model_lists import timm_families, timm_model, timm_sample, torchvision_model, torchvision_names
from seen import fields

HEAD = """# Receptive fields of models that were read

Written by `benchmarks/read_fields.py`: at up to four nodes all over each model, the region of the first and of the
middle unit, pixel by pixel, against where the gradient of the model itself is not zero (double precision, positive
weights, activations without flat pieces, means for maxima, attention in which everything counts).
"""
LIMIT = 300
LARGEST = 500_000_000  # parameters; in double precision a model must fit into memory with what backward keeps
MEMORY = 16 << 30


class TooLong(Exception):
    """A model took longer than its time."""


def stop(*_: Any) -> None:
    raise TooLong


def receptive_field(source: str, name: str) -> dict[str, Any]:
    """How one model went."""
    make, shape = torchvision_model(name) if source == "torchvision" else timm_model(name)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)  # of CPU time
    try:
        with torch.device("meta"):
            size = sum(p.numel() for p in make().parameters())
    except Exception:  # some compute with values while they are built
        size = 0
    try:
        if size > LARGEST:
            return {"how": "not run", "told": f"{size / 1e6:.0f} M parameters"}
        found = fields(make().eval(), shape)
    except TooLong:
        return {"how": "not run", "told": f"more than {LIMIT} s of CPU time"}
    except Exception as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            return {"how": "not run", "told": f"more than {MEMORY >> 30} GB"}
        return {"how": "not run", "told": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:120]}"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    how = "differs" if found.differ else "equal" if found.units else "nothing to compare"
    return {"how": how, "nodes": found.nodes, "units": found.units, "told": "; ".join(found.differ[:2])}


def run(path: Path, minutes: float) -> list[dict[str, Any]]:
    """Look at what is not yet among the results of `path`, one JSON line a model, for so long."""
    results = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(r["source"], r["name"]) for r in results}
    start = time.monotonic()
    few = timm_sample(1)
    wanted = [("torchvision", n) for n in torchvision_names()] + [("timm", n) for n in few]
    wanted += [("timm", n) for n in timm_sample(4) if n not in few]
    for source, name in wanted:
        if (source, name) in done:
            continue
        if time.monotonic() - start > minutes * 60:
            break
        found = {"source": source, "name": name, **receptive_field(source, name), "date": time.strftime("%Y-%m-%d")}
        results.append(found)
        with path.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(source, name, found["how"], found["told"], file=sys.stderr, flush=True)
    return results


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # a model that takes more is told as not run
    results = run(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 25.0)
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "torchvision", "timm"))
    print(HEAD)
    print(
        f"{max(r['date'] for r in results)}, Python {platform.python_version()}, {packages}; {len(results)} models.\n"
    )
    print("| | models | equal | differ | nothing to compare | not run | nodes | units |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for source in ("torchvision", "timm"):
        own = [r for r in results if r["source"] == source]
        count = Counter(r["how"] for r in own)
        sums = [sum(r.get(k, 0) for r in own) for k in ("nodes", "units")]
        cells = (len(own), *(count[h] for h in ("equal", "differs", "nothing to compare", "not run")), *sums)
        print(f"| {source} | {' | '.join(map(str, cells))} |")
    families = {n: f for f, names in timm_families().items() for n in names}
    equal = {families[r["name"]] for r in results if r["source"] == "timm" and r["how"] == "equal"}
    print(f"\nOf timm's {len(set(families.values()))} families (files) {len(equal)} have a model that was compared.\n")
    print(
        "*Nothing to compare*: every node that is a module of its own is laid out in another way by the module (windows"
    )
    print("as the batch), or the regions of all its units do not fit into memory.\n")
    print("| model | how | what |\n|---|---|---|")
    for r in results:
        if r["how"] != "equal":
            print(f"| `{r['name']}` | {r['how']} | {r['told'].replace('|', '/')} |")
    print("\n## Equal\n")
    for source in ("torchvision", "timm"):
        named = [f"`{r['name']}`" for r in results if r["source"] == source and r["how"] == "equal"]
        print(f"{source}: {', '.join(named)}\n")


if __name__ == "__main__":
    main()
