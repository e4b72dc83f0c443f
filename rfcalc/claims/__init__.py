"""Published numbers as claims, and what the layers say about them.

A claims file (``*.rfclaims.toml``, schema rfcalc/claims/1) names a network, a source, its conventions, and claims: an
expression over metrics and the value **as printed**, whose digits decide the tolerance. `check` computes each and
judges. The shipped files hold what the literature prints, with its known errata.

>>> from rfcalc.claims.checking import check
>>> [str(r.verdict) for r in check("vgg16") if r.claim.printed and r.claim.printed.text == "24M"]
['mismatch']
"""
