"""Fetches what the playground needs, once, into docs/playground/vendor: `python docs/playground/fetch.py`.

The interpreter is the npm package ``pyodide``; the packages are rfcalc's own requirements, as wheels from PyPI. Where
the folder is there, the site is built with the playground; where it is not, the page says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
VENDOR = HERE / "vendor"
PYODIDE = "314.0.7"
FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json", "package.json")


def fetch() -> None:
    """Fill the folder anew."""
    project = tomllib.loads((HERE.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder)
        subprocess.run(
            ["npm", "pack", "--silent", f"pyodide@{PYODIDE}"], cwd=packed, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = packed.glob("*.tgz")
        with tarfile.open(archive) as tar:
            for name in FILES:  # read, not extracted: filters of archives came with Python 3.11.4
                data = tar.extractfile(f"package/{name}")
                assert data is not None
                (packed / name).write_bytes(data.read())
        wheels = packed / "wheels"
        pip = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", str(wheels)]
        subprocess.run([*pip, *project["dependencies"]], check=True)
        shutil.rmtree(VENDOR, ignore_errors=True)
        (VENDOR / "pyodide").mkdir(parents=True)
        for name in FILES:
            shutil.copy(packed / name, VENDOR / "pyodide" / name)
        shutil.copytree(wheels, VENDOR / "wheels")


if __name__ == "__main__":
    fetch()
