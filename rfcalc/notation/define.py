"""Named blocks with parameters: ``inception(64, 96, 128)`` is the block's expression with numbers put in."""

from __future__ import annotations

from typing import NamedTuple

from rfcalc.core.errors import NotationError, suggestion
from rfcalc.core.expr import Expr
from rfcalc.core.index import Expression
from rfcalc.core.integers import read
from rfcalc.core.size import Size
from rfcalc.core.syntax import split


class Definition(NamedTuple):
    """A block: its parameters with their defaults (None: must be given), and its expression, in which they are names.

    `expressions` are the sizes in it that depend on the parameters.
    """

    name: str
    parameters: tuple[tuple[str, int | None], ...]
    expr: Expr
    expressions: tuple[Expression, ...] = ()
    assumptions: tuple[str, ...] = ()

    def arguments(self, text: str) -> dict[str, Size]:
        """The parameters' values in a use: by position, then by name (``block(64, stride=2)``).

        Raises:
            NotationError: too many, unknown, twice, or missing.
        """
        names = [name for name, _ in self.parameters]
        inner = text.partition("(")[2]
        if inner and not inner.endswith(")"):
            raise NotationError(f"{text!r} has more text after its closing bracket", fix=self.usage())
        found: dict[str, Size] = {}
        for i, part in enumerate(split(inner[:-1], ",") if inner[:-1].strip() else []):
            name, sign, value = part.rpartition("=")
            name = name.strip()
            if not sign:
                if i >= len(names):
                    raise NotationError(f"{self.name} takes {len(names)} numbers", fix=self.usage())
                name = names[i]
            if name not in names:
                raise NotationError(
                    f"{self.name} has no parameter {name!r}", fix=suggestion(name, names) or self.usage()
                )
            if name in found:
                raise NotationError(f"{name} is given twice", fix=self.usage())
            found[name] = read(value.strip())
        for name, default in self.parameters:
            if name not in found:
                if default is None:
                    raise NotationError(f"{self.name} needs {name}", fix=self.usage())
                found[name] = default
        return found

    def usage(self) -> str:
        """How it is written."""
        told = [name if default is None else f"{name}={default}" for name, default in self.parameters]
        return f"write {self.name}({', '.join(told)})" if told else f"write {self.name}"
