"""Puts the playground into a built site: the page's own files, Pyodide, and three archives that load when needed."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import rfcalc

HERE = Path(__file__).parent
VENDOR = HERE / "vendor"
OWN = ("bridge.py", "worker.js", "page.js", "quiz.js", "page.css")
ALGEBRA = ("sympy", "mpmath")  # loaded when formulas are asked for; other wheels with the command line


def there() -> bool:
    """Whether the interpreter and the wheels are at hand (`fetch.py`)."""
    return (VENDOR / "pyodide" / "pyodide.asm.wasm").exists()


def html() -> str:
    """The page, or a sentence where it is not part of the build."""
    if there():
        return (HERE / "page.html").read_text(encoding="utf-8")
    fetch = "<code>python docs/playground/fetch.py</code>"
    return f"<p><em>This build has no playground: {fetch} fetches what it needs.</em></p>"


def bundle(out: Path) -> None:
    """Write everything below a folder of the site."""
    if not there():
        return
    out.mkdir(parents=True, exist_ok=True)
    for name in OWN:
        shutil.copy(HERE / name, out / name)
    shutil.copytree(VENDOR / "pyodide", out / "pyodide", dirs_exist_ok=True)
    package = Path(rfcalc.__file__).parent
    with zipfile.ZipFile(out / "rfcalc.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, Path("rfcalc") / file.relative_to(package))
    algebra, line = [], []
    for wheel in sorted((VENDOR / "wheels").glob("*.whl")):
        (algebra if wheel.name.startswith(ALGEBRA) else line).append(wheel)
    for name, wheels in (("formulas.zip", algebra), ("command.zip", line)):
        with zipfile.ZipFile(out / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for wheel in wheels:
                with zipfile.ZipFile(wheel) as packed:
                    for info in packed.infolist():
                        if "/tests/" not in info.filename and not info.filename.endswith((".so", "/")):
                            archive.writestr(info.filename, packed.read(info))
    first = [*(out / "pyodide").iterdir(), out / "rfcalc.zip"]
    sizes = {file.name: file.stat().st_size for file in first if file.suffix in (".wasm", ".zip", ".mjs")}
    (out / "sizes.json").write_text(json.dumps({"first": sizes}), encoding="utf-8")
