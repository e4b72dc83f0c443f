"""What is to be checked, from names and files to claims and their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rfcalc import zoo
from rfcalc.claims.files import ENDING, Claim, networks, read, shipped
from rfcalc.claims.judging import JudgedClaim, Reports, judge
from rfcalc.core.errors import RfcalcError


def check(*what: str | Path | Claim, run: Sequence[str] = (), explained: bool = True) -> list[JudgedClaim]:
    """Check published numbers, or your own, against what the layers say.

    Args:
        what: networks (the claims that come with rfcalc about them), claims files (``*.rfclaims.toml``) or folders with
            them, or claims that have been read; every claim that comes with rfcalc if left out.
        run: code that the claims may name, and that you trust: ``model.py:Net``, ``py:package.module:Net``.
        explained: whether it is told what would explain a mismatch.

    Raises:
        RfcalcError: a file or a claim that cannot be read or computed.

    >>> results = check("vgg16")
    >>> all(result.passed for result in results)
    True
    """
    given = [claim for claim in what if isinstance(claim, Claim)]
    named = [str(name) for name in what if not isinstance(name, Claim)]
    paths = [path for name in named for path in files_of(name)]
    claims = [*given]
    if paths:
        found, broken = chosen(paths, (), run)
        if broken:
            raise broken[0]
        claims += found
    claims += [claim for name in named if not files_of(name) for claim in shipped(name)]
    return judge(claims if what else shipped(), Reports(run), explained=explained)


def files_of(name: str) -> list[Path]:
    """The claims files that a word names: itself, or all in a folder; none if it is a network's name."""
    if name.endswith(ENDING):
        return [Path(name)]
    if not Path(name).is_dir() or zoo.find(name) is not None:
        return []
    found = [path for path in sorted(Path(name).rglob(f"*{ENDING}")) if not _hidden(path.relative_to(name))]
    if not found:
        fix = f"rfcalc lock writes one: --output NAME{ENDING}"
        raise RfcalcError("there is no claims file in this folder", where=name, fix=fix)
    return found


def _hidden(path: Path) -> bool:
    """Whether a path leads through a hidden folder, such as that of a virtual environment."""
    return any(part.startswith(".") for part in path.parts)


def chosen(paths: Sequence[Path], names: Sequence[str], run: Sequence[str]) -> tuple[list[Claim], list[RfcalcError]]:
    """The claims of the files, or those that come with rfcalc; about the networks that are named, if any are. A file
    or a claim that cannot be read does not silence the others: its error is told beside their results."""
    if not paths and not names:
        return shipped(), []
    claims: list[Claim] = []
    broken: list[RfcalcError] = []
    for name in names if not paths else ():
        try:
            claims += shipped(name)
        except RfcalcError as error:
            broken.append(error)
    for path in paths:
        try:
            claims += read(path, run=run, broken=broken)
        except RfcalcError as error:
            broken.append(error)
    if not names or not paths:
        return claims, broken
    found = [claim for claim in claims if set(names) & set(networks(claim))]
    claimed = {name for claim in claims for name in networks(claim)}
    lost = [name for name in names if name not in claimed]
    if lost:
        broken.append(RfcalcError(f"nothing is claimed about {', '.join(lost)}", where=", ".join(map(str, paths))))
    return found, broken
