"""How a package is put beside rfcalc, for the environment that rfcalc runs in: pip's, pipx's, uv's."""

from __future__ import annotations

import sys
from os.path import isfile, join
from pathlib import PurePath


def command(package: str, extra: str = "", prefix: str | None = None) -> str:
    """The command line that puts a package, or an extra of rfcalc's, where rfcalc can import it.

    Args:
        package: its name on PyPI.
        extra: the extra of rfcalc's that holds it; left out, the package itself is named.
        prefix: the folder of the environment; the running one's if left out.

    >>> command("torch", prefix="/usr"), command("torch", "torch", prefix="/usr")
    ('pip install torch', "pip install 'rfcalc[torch]'")
    >>> command("torch", "torch", prefix="/home/me/.cache/uv/archive-v0/abc")
    "uvx --from 'rfcalc[torch]' rfcalc …"
    """
    where = sys.prefix if prefix is None else prefix
    parts = PurePath(where).parts
    own = f"rfcalc[{extra}]"
    if isfile(join(where, "uv-receipt.toml")):  # uv tool install
        return f"uv tool install '{own}'" if extra else f"uv tool install rfcalc --with {package}"
    if any(part.startswith(("archive-v", "environments-v")) for part in parts):  # uvx
        return f"uvx --from '{own}' rfcalc …" if extra else f"uvx --with {package} rfcalc …"
    if isfile(join(where, "pipx_metadata.json")):  # pipx install
        return f"pipx install --force '{own}'" if extra else f"pipx inject rfcalc {package}"
    if "pipx" in parts:  # pipx run
        return f"pipx run --spec '{own}' rfcalc …" if extra else f"pipx run --with {package} rfcalc …"
    return f"pip install '{own}'" if extra else f"pip install {package}"
