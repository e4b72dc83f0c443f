"""What notebooks show of an object that says itself as a document: ``_repr_html_ = displayed`` in its class.

Imports nothing; formats are loaded when a notebook asks (an upward convenience, as `__str__` of reports is).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rfcalc.report.document import Document


class Displayable(Protocol):
    """An object with a document."""

    def document(self) -> Document:
        """What the object says, for every format."""
        ...


def displayed(told: Displayable) -> str:
    """The object's document as HTML with its own styles, in the colours of the page that it stands in."""
    return str(import_module("rfcalc.render").fragment(told.document()))
