"""Prints the JSON Schema of a document: ``python -m rfcalc.report.schemas rf``."""

from __future__ import annotations

import json
import sys

from rfcalc.core.errors import RfcalcError
from rfcalc.report.schemas import names, schema

if len(sys.argv) != 2:
    print(f"usage: python -m rfcalc.report.schemas DOCUMENT; documents: {', '.join(names())}", file=sys.stderr)
    sys.exit(2)
try:
    print(json.dumps(schema(sys.argv[1]), indent=1, ensure_ascii=False))
except RfcalcError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
