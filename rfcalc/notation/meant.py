"""What a text that is no notation probably means: rewritten step by step until it can be read, for a message's fix.

Nothing is read that way by itself: a network is only what its own text says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rfcalc.core.errors import NotationError, RfcalcError

# Words of other tools and of papers → the word here.
NAMES = {
    r"max[-_ ]?pool(?:ing)?(?:[123]d)?": "maxpool",
    r"(?:avg|average|mean)[-_ ]?pool(?:ing)?(?:[123]d)?": "avgpool",
    r"(?:global[-_ ]?(?:avg|average)[-_ ]?pool(?:ing)?(?:[123]d)?|gap)": "globalavgpool",
    r"(?:global[-_ ]?max[-_ ]?pool(?:ing)?(?:[123]d)?|gmp)": "globalmaxpool",
    r"(?:depth[-_ ]?wise(?:[-_ ]?conv)?|dw)": "dwconv",
    r"(?:conv[-_ ]?transposed?|transposed?[-_ ]?conv|up[-_ ]?conv)(?:[123]d)?": "convT",
    r"(?:batch[-_ ]?norm(?:ali[sz]ation)?(?:[123]d)?)": "bn",
    r"(?:dense|fully[-_ ]?connected|lin)": "fc",
    r"(?:convolution(?:al)?|conv[123]d)": "conv",
    r"up[-_ ]?sampl(?:e|ing)(?:[123]d)?": "up",
}
AFTER = r"(?:relu6?|leaky[-_]?relu|gelu|silu|sigmoid|tanh|softmax|bn|maxpool\d*|avgpool\d*|flatten|dropout[\d.]*|fc\d+)"
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def meant(text: str) -> str | None:
    """Notation that the text probably means, which can be read; None where no rewriting leads to any.

    >>> meant("conv3-64relu, maxpooling 2x2"), meant("input 3x3conv-64 [relu conv3-64] x2"), meant("hello")
    ('conv3-64 relu, maxpool2', 'conv3x3-64 (relu conv3-64) x2', None)
    """
    if len(text) > 2000:
        return None
    for step in _STEPS:
        changed = step(text)
        if changed != text:
            text = changed.strip()
            if _readable(text):
                return text
    return None


def mended(text: str, error: NotationError) -> RfcalcError:
    """The complaint about notation, with what is probably meant as the fix, where it does not say that itself."""
    likely = None if error.mends else meant(text)
    if likely is not None:
        error.fix = f"write {likely}"
    return error.at("notation")


def _readable(text: str) -> bool:
    from rfcalc.notation.parse import parse

    try:
        return bool(text) and not parse(text, symbols=True).symbolic
    except RfcalcError:
        return False


def _renamed(text: str) -> str:
    for pattern, name in NAMES.items():
        text = re.sub(rf"(?<![\w.-]){pattern}(?=$|[\s\d,>()\]}}|-])", name, text, flags=re.IGNORECASE)
    return text


def _ends(text: str) -> str:
    """Without the words for what every network has."""
    return re.sub(r"^\s*(?:input|image)\b[\s,>-]*|[\s,>-]*\boutput\s*$", "", text, flags=re.IGNORECASE)


def _options(text: str) -> str:
    """Options with an equals sign, as code has them."""
    text = re.sub(r"\bkernel(?:[-_]?size)?\s*=\s*\d+", "", text, flags=re.IGNORECASE)
    return re.sub(
        r"\b(stride|padding|pad|dilation|groups)s?\s*[=:]?\s*(\d+)",
        lambda found: f"{found[1][0].lower()}{found[2]}",
        text,
        flags=re.IGNORECASE,
    )


def _square(found: re.Match[str]) -> str:
    """``2x2`` as ``2``."""
    sizes = found[2].split("x")
    return found[1] + (sizes[0] if len({*sizes}) == 1 else found[2])


_STEPS: tuple[Callable[[str], str], ...] = (
    lambda text: text.translate(SUPERSCRIPTS),
    lambda text: re.sub(r"(?<=\w)\(\s*\)", "", text),  # relu()
    _ends,
    _renamed,
    # the kernel or the channels before the word: 3x3 conv, 64; 64 3x3 conv
    lambda text: re.sub(r"\b(\d+)\s+(\d+(?:x\d+)+)[\s-]*conv\b(?![-\d])", r"conv\2-\1", text),
    lambda text: re.sub(r"\b(\d+(?:x\d+)+)[\s-]*conv(?:[\s,-]+(\d+)\b)", r"conv\1-\2", text),
    lambda text: re.sub(r"\bconv(\d+)x\1x(\d+)\b(?!-)", r"conv\1x\1-\2", text),
    lambda text: re.sub(r"\bconv([1-9])x(\d{2,})\b(?!-)", r"conv\1-\2", text),
    lambda text: re.sub(r"\bconv(\d{2,})\b(?!-)", r"conv3-\1", text),
    # brackets of other kinds, and repetitions
    lambda text: re.sub(r"(?<![\w])[\[{]([^\[\]{}|]*)[\]}]", r"(\1)", text),
    lambda text: re.sub(r"\)\s*(?:[x×*^]\s*)?(\d+)x?(?=$|[\s,>])", r") x\1", text),
    lambda text: re.sub(r"(?<=[\w)])\s+(?:[x×]\s+|\^\s*)(\d+)(?=$|[\s,>])", r" x\1", text),
    lambda text: re.sub(r"(?<=\s)x(\d+)x(?=$|[\s,>])", r"x\1", text),
    lambda text: re.sub(r"\b([a-zA-Z]+[\dx]*-\d+)[x×](\d+)(?=$|[\s,>)])", r"\1 x\2", text),  # conv3-64x3
    # words that are glued, or apart
    lambda text: re.sub(rf"(?<=[\da-z])[-/_+]({AFTER})(?=$|[\s,>/_+-])", r" \1", text, flags=re.IGNORECASE),
    lambda text: re.sub(rf"(?<=\d)({AFTER})(?=$|[\s,>])", r" \1", text, flags=re.IGNORECASE),
    lambda text: re.sub(r"\b([a-zA-Z]*pool|up)\s+(\d+(?:x\d+)*)(?=$|[\s,>)])", _square, text),
    lambda text: re.sub(r"\b(fc|dropout|bn|conv[a-zA-Z]*)\s+(\d[\d.]*)(?=$|[\s,>)-])", r"\1\2", text),
    _options,
)


def as_sequential(text: str) -> str | None:
    """Layers of PyTorch's, one after another, as the module that holds them; None for any other text.

    >>> as_sequential("nn.Conv2d(3, 64, 3), nn.ReLU()")
    'nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU())'
    """
    layer = r"(?:(?:torch\.)?nn\.)?[A-Z]\w*\([^()]*(?:\([^()]*\)[^()]*)*\)"
    if not re.fullmatch(rf"\s*{layer}(?:\s*,\s*{layer})*\s*,?\s*", text):
        return None
    prefix = next(iter(_prefixes(text)), "")
    return f"{prefix}Sequential({text.strip().rstrip(',')})"


def _prefixes(text: str) -> Iterator[str]:
    for found in re.finditer(r"((?:torch\.)?nn\.)", text):
        yield found[1]
