"""What is told of a text that names no network, and of a file that is not there: what was probably meant."""

from __future__ import annotations

import re
from os import listdir
from os.path import basename, dirname, exists, isdir, isfile

from rfcalc.core.errors import NamesCode, NotationError, RfcalcError, UnknownName, suggestion

_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*(?:\(.*\))?$")  # module:object without py:


def _code(text: str) -> str:
    """How an object of code is named: by its file where there is one of the module's name, else by the module."""
    module, _, name = text.partition(":")
    return f"{module}.py:{name}" if isfile(f"{module}.py") else f"py:{text}"


def unread(text: str, error: NotationError, word: bool, endings: tuple[str, ...]) -> RfcalcError:
    """What is told of a text, or `word`, that is neither a name nor notation; `endings`: of files that are read."""
    from rfcalc.notation.meant import as_sequential, meant, mended

    held = as_sequential(text)
    if held is not None:
        return RfcalcError("layers of code stand in a module", where=text[:60], fix=f"write {held}")
    if _MODULE.match(text):
        why, fix = "code is run only where it is asked for", f"write {_code(text)}, which imports and runs that code"
        return NamesCode(text, why=why, fix=fix)
    if text in (".", "..") or isdir(text):
        return RfcalcError("this is a folder", where=text, fix="give a path to a file in it")
    file, sign, name = text.rpartition(".")
    file = file.removesuffix(".py")
    if sign and name.isidentifier() and not exists(text) and isfile(f"{file}.py"):
        return RfcalcError(f"there is no network {text!r}", fix=f"write {file}.py:{name}, which runs that code")
    if "/" in text and "\n" not in text and not exists(text) and isdir(dirname(text)):
        return no_such_file(text, endings)
    if isfile(text):
        fix = "give a .onnx, .keras, .toml, .json, .cfg or .py:object, or notation in a .txt"
        return RfcalcError("no network is read from a file of this kind", where=text, fix=fix)
    from rfcalc import zoo

    if word and error.no_layer:
        several = [word for word in re.split(r"[,\s]+", text) if word]
        if len(several) > 1 and all(map(zoo.find, several)):
            return RfcalcError(f"{text!r} are several networks", fix=f"write rfcalc compare {' '.join(several)}")
        likely = meant(text)
        if likely is not None:
            return RfcalcError(f"{text!r} is no network and no layer", fix=f"did you mean {likely}?")
        hint = suggestion(text, zoo.networks())
        fix = f"{hint}; `rfcalc list` shows the networks, and a layer is written like conv3-64"
        return UnknownName("network", text, [], fix=fix)
    together = zoo.find(text.replace(" ", ""))
    if together is not None:
        return RfcalcError(f"{text!r} is in several words", fix=f"write {together.name}")
    return mended(text, error)


def no_such_file(path: str, endings: tuple[str, ...]) -> RfcalcError:
    """What is told of a file that is not there: the file of its folder that may be meant, if one is close."""
    try:
        known = (path[path.rfind(".") :], *endings)
        found = [name for name in listdir(dirname(path) or ".") if name.endswith(known)]
    except OSError:
        found = []
    near = suggestion(basename(path), found)
    fix = near if near.startswith("did you mean") else "give a path to a file, or `rfcalc list`"
    return RfcalcError("there is no such file", where=path, fix=fix)
