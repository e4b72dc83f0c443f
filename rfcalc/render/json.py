"""JSON: everything, for machines; each document's schema is a file in rfcalc/report/schemas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rfcalc.report.document import Document

if TYPE_CHECKING:
    from rfcalc.render import Look

_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def render(document: Document, look: Look) -> str:
    """The document's data as JSON; control characters, which terminals obey, are always escaped."""
    from json import dumps

    text = dumps(document.to_dict(), indent=1, ensure_ascii=False)
    return _CONTROLS.sub(lambda m: f"\\u{ord(m[0]):04x}", text)
