"""What the shell offers when a word is completed: names of networks, columns, formats, styles, dtypes."""

from __future__ import annotations

from collections.abc import Iterable

FORMS = {
    "notation": "the papers' notation",
    "spec": "a spec file in TOML",
    "json": "the same as JSON",
    "torch": "PyTorch source that does not need rfcalc",
}


def _beginning(incomplete: str, known: Iterable[str]) -> list[str]:
    from rfcalc.core.registry import fold

    start = fold(incomplete)
    return [name for name in known if fold(name).startswith(start)]


def networks(incomplete: str) -> list[str]:
    """Networks of the zoo."""
    from rfcalc import zoo

    return _beginning(incomplete, zoo.networks())


def columns_of(incomplete: str) -> list[str]:
    """Metrics; after a comma the next one."""
    from rfcalc.report.metrics import METRICS
    from rfcalc.report.table import PRESETS

    before, sign, last = incomplete.rpartition(",")
    typed = [name.replace("-", "_") for name in METRICS.names()] + [*PRESETS]
    return [before + sign + name for name in _beginning(last, typed)]


def forms(incomplete: str) -> list[str]:
    """Output formats."""
    from rfcalc.render import FORMATS

    return _beginning(incomplete, FORMATS)


def styles(incomplete: str) -> list[str]:
    """Styles of the table."""
    from rfcalc.report.table import STYLES

    return _beginning(incomplete, STYLES)


def dtypes(incomplete: str) -> list[str]:
    """Types of values."""
    from rfcalc.core.dtypes import DTYPES

    return _beginning(incomplete, DTYPES)


def exports(incomplete: str) -> list[str]:
    """Forms in which a network is written down."""
    return _beginning(incomplete, FORMS)


def families(incomplete: str) -> list[str]:
    """Families whose pairings can be compared."""
    from rfcalc.comparison.family import names

    return _beginning(incomplete, names())
