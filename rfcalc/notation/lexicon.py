"""Which kind a word belongs to. The kinds declare their words; this finds the kind, loading no more than it needs."""

from __future__ import annotations

from importlib import import_module

from rfcalc.core.expr import LAYERS
from rfcalc.core.layer import Layer
from rfcalc.layers import WORDS

_known: dict[str, type[Layer]] = {}


def kind_of(word: str) -> tuple[str, type[Layer]] | None:
    """The word as its kind declares it, and the kind; None if no kind does. Case matters only where it must.

    >>> kind_of("ReLU")
    ('relu', <class 'rfcalc.layers.pointwise.Activation'>)
    """
    for key in (word, word.lower()):
        found = _find(key)
        if found is not None:
            return key, found
    declared = next((w for w in (*WORDS, *_known) if w.lower() == word.lower()), None)
    found = None if declared is None else _find(declared)
    return None if declared is None or found is None else (declared, found)


def words() -> dict[str, type[Layer]]:
    """Every word and its kind."""
    for kind in LAYERS.values():
        _learn(kind)
    return {word: kind for word, kind in _known.items() if LAYERS.get(kind.kind) is kind}


def _find(word: str) -> type[Layer] | None:
    """The kind of a word: the module that declares it is loaded, and no other."""
    if word not in _known and word in WORDS:
        import_module(f"rfcalc.layers.{WORDS[word]}")
    if word not in _known:
        for kind in LAYERS.registered():  # those of the module, and kinds that were registered from outside
            _learn(kind)
    found = _known.get(word)
    if found is not None and LAYERS.get(found.kind) is not found:  # the kind has been taken out again
        return None
    return found


def _learn(kind: type[Layer]) -> None:
    spelling = getattr(kind, "spelling", None)
    if spelling is None or not isinstance(kind, type):
        return
    for word in spelling.words:
        other = _known.get(word)
        if other is not None and other is not kind and LAYERS.get(other.kind) is other:
            raise ValueError(f"the word {word!r} belongs to {other.__name__} and to {kind.__name__}")
        _known[word] = kind
