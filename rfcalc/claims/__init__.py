"""Published numbers as claims, and what the layers say about them.

A claims file (``*.rfclaims.toml``, schema rfcalc/claims/1) names a network, a source, its conventions, and claims: an
expression over metrics and the value **as printed**, whose digits decide the tolerance. `check` computes each and
judges. The shipped files hold what the literature prints, with its known errata.

>>> from rfcalc.claims import check
>>> [str(r.verdict) for r in check("vgg16") if r.claim.printed and r.claim.printed.text == "24M"]
['mismatch']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfcalc.claims.checking import check as check
    from rfcalc.claims.files import Claim as Claim
    from rfcalc.claims.files import ClaimError as ClaimError
    from rfcalc.claims.files import File as File
    from rfcalc.claims.files import read as read
    from rfcalc.claims.files import shipped as shipped
    from rfcalc.claims.judging import Result as Result
    from rfcalc.claims.judging import Verdict as Verdict
    from rfcalc.claims.judging import judge as judge

_HOMES = {
    "Claim": "files",
    "ClaimError": "files",
    "File": "files",
    "read": "files",
    "shipped": "files",
    "Result": "judging",
    "Verdict": "judging",
    "check": "checking",
    "judge": "judging",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: a pytest run without claims files imports nothing of this."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'rfcalc.claims' has no attribute {name!r}")
    value = getattr(import_module(f"rfcalc.claims.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
