"""Puts modules one after another, and holds what each says it reads against what stands before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rfcalc.core.errors import RfcalcError, ShapeError
from rfcalc.core.layer import Layer
from rfcalc.core.size import prod
from rfcalc.layers.dense import Linear
from rfcalc.layers.reshape import Flatten
from rfcalc.layers.unknown import Unknown
from rfcalc.readers.text.chain import INPUT, SIDE, TextChain
from rfcalc.readers.text.modules import WrittenLayer


def default_input(parts: Iterable[WrittenLayer]) -> Sequence[int]:
    """The input that the first module with a say expects: its channels or features, 224 positions an axis."""
    rank = None
    for made in parts:
        rank = made.rank if rank is None else rank
        if isinstance(made.layer, Linear) and made.layer.in_features is not None:
            return (int(made.layer.in_features),) if rank is None else (3, *(SIDE,) * rank)
        if made.reads is not None:
            return (made.reads, *(SIDE,) * (2 if rank is None else rank))
    return (3, *(SIDE,) * (2 if rank is None else rank))


def place(chain: TextChain, made: WrittenLayer, name: str, where: str, flatten: bool = False) -> str:
    """Put a module after the current one.

    Args:
        flatten: whether a flatten that the text does not show may stand before a linear layer that it fits.

    Raises:
        ShapeError: it says that it reads something else than what comes.
    """
    x = chain.shape
    if made.reads is not None and len(x.dims) > 0 and x.channels != made.reads:
        what = "the input has" if chain.at == INPUT else f"{chain.at} makes"
        raise ShapeError(
            f"it reads {made.reads} channels, and {what} {x.channels}",
            where=f"{name} ({where})",
            why="what the modules say of themselves does not fit one after another",
            fix="the real order may be another, or the input: --input; a module's own code is read with file.py:Name",
        )
    chain.begin(name)
    layer = made.layer
    if flatten and isinstance(layer, Linear) and len(x.dims) > 1 and x.channel == 0:
        features = layer.in_features
        if prod(x.dims) == features and (all(n == 1 for n in x.dims[1:]) or x.dims[-1] != features):
            chain.note(f"a flatten stands before {name}: a printed model does not show it")
            chain.add(Flatten(), f"{name}.flatten")
    try:
        *parts, last = (layer,) if isinstance(layer, Layer) else chain.sized(layer, name)
        for number, part in enumerate(parts):
            chain.add(part, f"{name}.{number}")
        if isinstance(last, Unknown):
            return chain.not_understood(last.operator, last.dims, name)
        return chain.add(last, name)
    except RfcalcError as error:
        error.where = f"{error.where} ({where})" if error.where else where
        if flatten and isinstance(layer, Linear):
            error.why = f"{error.why}\na print does not show what forward does between modules, nor a module used twice"
            error.fix = "give the input that it was made for (--input), or read the model itself: file.py:Name"
        raise
