"""XML and XHTML by the standard library: elements with their children, and their text."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

__all__ = ["Element", "document", "element", "fragment"]

LEVELS = 4  # below, white space could be taken for text

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold


def element(tag: str, *children: Element | str, **attributes: str) -> Element:
    """An element; a child that is a string is text. A trailing underscore of an attribute's name is left out.

    >>> fragment(element("p", "a < ", element("b", "c"), " & d", class_="x"))
    '<p class="x">a &lt; <b>c</b> &amp; d</p>'
    """
    made = Element(tag, {name.rstrip("_"): _NO_XML.sub("\ufffd", value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            continue
        child = _NO_XML.sub("\ufffd", child)
        if len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def fragment(*parts: Element) -> str:
    """Elements as XHTML, without a declaration."""
    return "".join(tostring(part, encoding="unicode", short_empty_elements=False) for part in parts)


def document(root: Element) -> str:
    """A whole XML document, with a line for each element of the upper levels."""
    _broken(root, LEVELS)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


def _broken(found: Element, levels: int) -> None:
    """Break lines between the children of an element that has no text of its own."""
    if not levels or not len(found) or found.text:
        return
    found.text = "\n"
    for child in found:
        child.tail = "\n"
        _broken(child, levels - 1)
