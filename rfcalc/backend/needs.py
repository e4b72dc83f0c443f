"""What written source needs around it: imports, and the source of those parts of rfcalc that it uses."""

from __future__ import annotations

import inspect
import re

from rfcalc.backend.parts import NAMES

IMPORTS = (  # what stands in the text, and the line that it needs
    (r"\bitertools\.", "import itertools"),
    (r"\bmath\.", "import math"),
    (r"\bOrderedDict\b", "from collections import OrderedDict"),
    (r"\bSequence\b", "from collections.abc import Sequence"),
)
FOREIGN = (
    (r"\btorch\.", "import torch"),
    (r"\bTensor\b", "from torch import Tensor, nn"),
    (r"\bF\.", "from torch.nn import functional as F"),
)


def parts(text: str) -> list[str]:
    """The source of the parts that a text uses, and of those that they use, in the order in which they are defined."""
    used: set[str] = set()
    open_texts = [text]
    while open_texts:
        words = set(re.findall(r"\b\w+\b", open_texts.pop()))
        for name in sorted(words & set(NAMES) - used):
            used.add(name)
            open_texts.append(inspect.getsource(NAMES[name]))
    return [inspect.getsource(NAMES[name]).rstrip() for name in NAMES if name in used]


def header(about: list[str], text: str) -> str:
    """The beginning of a file: what it is, its imports, and the parts that it uses."""
    helpers = parts(text)
    everything = "\n".join([*helpers, text])
    told = "\n".join(line.replace("\\", "\\\\").replace('"""', "'''") for line in about)
    blocks = [f'"""{told}\n"""', "from __future__ import annotations"]
    for group in (IMPORTS, FOREIGN):
        lines = [line for pattern, line in group if re.search(pattern, everything)]
        if lines:
            blocks.append("\n".join(lines))
    return "\n\n\n".join(["\n\n".join(blocks), *helpers])
