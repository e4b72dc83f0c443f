"""Published numbers as claims, and what the layers say about them.

A claims file (``*.rfclaims.toml``, schema rfcalc/claims/1) names a network, a source, its conventions, and claims: an
expression over metrics and the value **as printed**, whose digits decide the tolerance. `check` computes each and judges.
The shipped files hold what the literature prints, with its known errata. Imports levels 0 to 9 (networks and reports).

>>> from rfcalc.claims import check, shipped
>>> [str(r.verdict) for r in check(shipped("vgg16")) if r.claim.printed and r.claim.printed.text == "24M"]
['mismatch']
"""

from __future__ import annotations

from rfcalc.claims.check import Result, Verdict, check
from rfcalc.claims.files import Claim, ClaimError, File, read, shipped

__all__ = ["Claim", "ClaimError", "File", "Result", "Verdict", "check", "read", "shipped"]
