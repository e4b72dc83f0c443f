"""Nodes given in any order, so that each stands after what it reads; a cycle is told as a path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rfcalc.core.errors import NetworkError, suggestion
from rfcalc.core.layer import Layer


def ordered(
    listed: list[tuple[str, Layer, Sequence[str]]], known: set[str]
) -> Iterable[tuple[str, Layer, Sequence[str]]]:
    """The nodes so that each stands after what it reads, without recursion; linear in the edges. Nodes that stand so
    already stay in their order."""
    by_name: dict[str, tuple[str, Layer, Sequence[str]]] = {}
    for entry in listed:
        if entry[0] in by_name or entry[0] in known:
            raise NetworkError(f"the name {entry[0]!r} stands for two nodes")
        by_name[entry[0]] = entry
    waiting: dict[str, int] = {}
    readers: dict[str, list[str]] = {}
    for name, _, reads in listed:
        waiting[name] = 0
        for r in reads:
            if r in by_name:
                waiting[name] += 1
                readers.setdefault(r, []).append(name)
            elif r not in known:
                raise NetworkError(f"{name} reads {r!r}, which does not exist", fix=suggestion(r, [*known, *by_name]))
    places = {name: i for i, name in enumerate(by_name)}
    if all(places.get(r, -1) < place for place, (_, _, reads) in enumerate(listed) for r in reads):
        yield from listed
        return
    ready = [name for name, _, _ in reversed(listed) if not waiting[name]]
    done = 0
    while ready:
        name = ready.pop()
        done += 1
        yield by_name[name]
        for reader in reversed(readers.get(name, ())):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if done < len(listed):
        raise NetworkError(
            "the network has a cycle", why=" → ".join(_cycle(by_name, waiting)), fix="cut one of its edges"
        )


def _cycle(by_name: dict[str, tuple[str, Layer, Sequence[str]]], waiting: dict[str, int]) -> list[str]:
    """One cycle among the nodes that never became ready, in the direction of the data."""
    name = next(n for n, count in waiting.items() if count)
    seen: dict[str, None] = {}
    while name not in seen:
        seen[name] = None
        name = next(r for r in by_name[name][2] if waiting.get(r))
    path = list(seen)
    path = [*path[path.index(name) :], name]
    return path[::-1]
