"""What the nodes of a network are called elsewhere: the attribute paths of torchvision's models, as a short table.

Imports nothing from the project (its nodes are whatever has a `name`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Naming:
    """A second name for every node, by rules: the first pattern that is the whole of a node's name gives its path.

    In a path, ``\\1`` or ``\\g<name>`` stand for a group of the pattern. A part ``#`` is a count from 0 of what comes
    under the same parent; ``#name`` gives all nodes with the same group one number, ``layer#name+1`` counts from 1 and
    puts a word before it. A node that no rule fits keeps its name.

    >>> naming = Naming("vgg16", ((r"(conv|relu|pool).*", "features.#"), (r"fc.*", "classifier.#")))
    >>> [naming.paths([name])[name] for name in ("conv1_1", "fc6", "flatten")]
    ['features.0', 'classifier.0', 'flatten']
    >>> list(naming.paths(["conv1_1", "relu1_1", "conv1_2", "fc6"]).values())
    ['features.0', 'features.1', 'features.2', 'classifier.0']

    Args:
        model: the model that is called so, in ``torchvision.models``; with its arguments where it needs them.
        rules: (pattern, path) pairs.
        eps: what its normalisation adds to the variance, where that is not PyTorch's default.
    """

    model: str
    rules: tuple[tuple[str, str], ...] = ()
    eps: float | None = None

    def paths(self, names: Iterable[str]) -> dict[str, str]:
        """The path of every node, by its name."""
        rules = [(re.compile(pattern), path.split(".")) for pattern, path in self.rules]
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

    def of(self, network: Any) -> dict[str, str]:
        """The same for a network's nodes."""
        return self.paths(node.name for node in network.nodes)


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
