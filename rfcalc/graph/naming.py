"""What the nodes of a network are called in PyTorch's own model of it: the rules of a `Naming`, followed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rfcalc.graph.network import Naming


def paths(naming: Naming, names: Iterable[str]) -> dict[str, str]:
    """The attribute path of every node, by its name.

    >>> naming = Naming("vgg16", ((r"(conv|relu|pool).*", "features.#"), (r"fc.*", "classifier.#")))
    >>> [paths(naming, [name])[name] for name in ("conv1_1", "fc6", "flatten")]
    ['features.0', 'classifier.0', 'flatten']
    >>> list(paths(naming, ["conv1_1", "relu1_1", "conv1_2", "fc6"]).values())
    ['features.0', 'features.1', 'features.2', 'classifier.0']
    """
    rules = [(re.compile(pattern), path.split(".")) for pattern, path in naming.rules]
    counts: dict[str, dict[str, int]] = {}
    found = {}
    for name in names:
        for pattern, path in rules:
            match = pattern.fullmatch(name)
            if match is not None:
                found[name] = _path(match, path, counts)
                break
        else:
            found[name] = name
    return found


def _path(match: re.Match[str], parts: list[str], counts: dict[str, dict[str, int]]) -> str:
    done: list[str] = []
    for part in parts:
        word, sign, counted = part.partition("#")
        if sign:
            group, _, first = counted.partition("+")
            here = counts.setdefault(".".join(done), {})
            label = match[group] if group else match[0]
            part = f"{word}{here.setdefault(label, len(here)) + int(first or 0)}"
        else:
            part = match.expand(part)
        done.append(part)
    return ".".join(done)
