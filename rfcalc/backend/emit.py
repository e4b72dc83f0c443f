"""Pieces of written source: names and ``nn.Sequential``. Imports nothing of PyTorch."""

from __future__ import annotations

import re
from keyword import iskeyword


def indented(text: str, by: int = 4) -> str:
    return "\n".join(" " * by + line if line else line for line in text.split("\n"))


def camel(text: str) -> str:
    """A class name: vgg16-torchvision → Vgg16Torchvision.

    >>> camel("vgg16-torchvision"), camel("3x3")
    ('Vgg16Torchvision', '')
    """
    words = [w for w in re.split(r"[^A-Za-z0-9]+", text) if w]
    name = "".join(w[0].upper() + w[1:] for w in words)
    return name if name.isidentifier() else ""


def identifier(text: str) -> str:
    """A variable name."""
    name = re.sub(r"\W", "_", text)
    return f"{name}_" if iskeyword(name) or name == "self" else name if name.isidentifier() else f"x_{name}"


def access(owner: str, name: str) -> str:
    """An attribute, whatever it is called."""
    return f"{owner}.{name}" if name.isidentifier() and not iskeyword(name) else f"getattr({owner}, {name!r})"


def sequential(parts: dict[str, str]) -> str:
    """``nn.Sequential``; parts that are not called 0, 1, … get their names."""
    if list(parts) == [str(i) for i in range(len(parts))]:
        inner = list(parts.values())
        if len(inner) == 1 and "\n" not in inner[0]:
            return f"nn.Sequential({inner[0]})"
        return "nn.Sequential(\n" + indented(",\n".join(inner)) + ",\n)"
    named = all(name.isidentifier() and not iskeyword(name) for name in parts)
    lines = [f"{name}={made}" if named else f"{name!r}: {made}" for name, made in parts.items()]
    told = indented(",\n".join(lines), 8)
    opened, closed = ("OrderedDict(", ")") if named else ("OrderedDict({", "})")
    return f"nn.Sequential(\n    {opened}\n{told},\n    {closed}\n)"
