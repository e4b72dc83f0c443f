"""Reads specs: checks every field, builds the network, and says of each problem which field it is and on which line.

Fields: ``name``, ``title``, ``citation``; ``input`` (a shape) or ``inputs`` (shapes by name); ``outputs`` (node names);
``blocks`` (by name: ``parameters`` and ``layers``); ``layers``: notation, or a list of notation and tables. A table has
one of ``kind`` (with the kind's parameters), ``notation``, ``block`` (with its parameters under ``with``), and may have
``name``, ``input`` or ``inputs``, ``repeat``, ``index``, ``scope``, ``stage``, ``shared``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from rfcalc.core.errors import NotationError, RfcalcError, suggestion
from rfcalc.core.expr import LAYERS, Expr, Parallel, Ref, repeat, series
from rfcalc.core.integers import LARGEST as WHOLE
from rfcalc.core.integers import read
from rfcalc.core.layer import Layer, parameters
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.notation.define import Definition
from rfcalc.notation.header import read_shape
from rfcalc.notation.layers import merged
from rfcalc.notation.lexicon import kind_of
from rfcalc.notation.parse import Reading, parse
from rfcalc.notation.write import write
from rfcalc.spec.locate import Path, field, line_of
from rfcalc.spec.toml import tables

SCHEMA = "rfcalc/spec/1"
LARGEST = 20_000_000  # bytes of a file
TOP = ("$schema", "schema", "name", "title", "citation", "input", "inputs", "outputs", "blocks", "layers")
AROUND = ("name", "input", "inputs", "repeat", "index", "scope", "stage", "shared")
MOST_BLOCKS = 1000
_NAME = re.compile(r"[^\W\d]\w*$")
_WORD = re.compile(r"[^\W\d]\w*")
_POSITION = re.compile(r"line (\d+), column (\d+)")


class LoadedSpec(NamedTuple):
    """A network from a spec, and what was taken for granted while it was read."""

    network: Network
    assumptions: tuple[str, ...] = ()


def load(path: str | FilePath) -> LoadedSpec:
    """The network of a spec file, TOML or JSON by its ending.

    Raises:
        RfcalcError: the file cannot be read, or a field is wrong: with its path and line.
    """
    file = FilePath(path)
    try:
        if file.stat().st_size > LARGEST:
            raise RfcalcError("the file is too large", where=str(path), why=f"the limit is {LARGEST:,} bytes")
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise RfcalcError("this is not a text in UTF-8", where=str(path), why=f"byte {error.start}") from None
    return loads(text, "json" if file.suffix.lower() == ".json" else "toml", str(path))


def loads(text: str, form: str = "toml", source: str = "spec") -> LoadedSpec:
    """The network of a spec.

    Args:
        text: the spec.
        form: ``toml`` or ``json``.
        source: what messages call it.

    >>> loads('input = "1x9x9"\\nlayers = "conv3-1/2 p0 > maxpool2"').network
    Network(Conv(1, 3, stride=2) >> MaxPool(2), '1x9x9')
    """
    text = text.replace("\r\n", "\n")
    try:
        data = tables(text, source) if form == "toml" else json.loads(text, object_pairs_hook=_once, parse_constant=_no)
    except RecursionError:
        raise RfcalcError("the values are nested too deeply", where=source) from None
    except ValueError as error:
        raise _malformed(error, text, source) from None
    if not isinstance(data, dict):
        raise RfcalcError("a spec is a table of fields", where=source, fix='{"layers": "conv3-64 > maxpool2"}')
    return _Reader(text, form, source).network(data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return found


def _no(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def _malformed(error: ValueError, text: str, source: str) -> RfcalcError:
    """What a TOML or JSON parser says, with the line in the form of all messages."""
    told = str(error)
    at = re.search(r"\(at line (\d+), column (\d+)\)", told) or re.search(r": line (\d+) column (\d+)", told)
    lines = text.rstrip("\n").split("\n")
    if at is not None:
        line, column, told = int(at[1]), int(at[2]), told[: at.start()]
    elif "(at end of document)" in told:
        line, column, told = len(lines), len(lines[-1]) + 1, told.partition("(at end")[0]
    else:
        return RfcalcError(told[:200] or "cannot be read", where=source)
    shown = (lines[line - 1 : line] or [""])[0]
    left = max(0, column - 51)
    return RfcalcError(
        told.strip(" :")[:200],
        where=f"{source}, line {line}, column {column}",
        why=f"{shown[left : left + 76]}\n{' ' * (column - 1 - left)}^",
    )


class _Reader:
    """One spec: `at` names the field that is being read, so that every error can say it."""

    def __init__(self, text: str, form: str, source: str) -> None:
        self.text, self.form, self.source = text, form, source
        self.blocks: dict[str, Definition] = {}
        self.assumed: dict[str, None] = {}

    def where(self, path: Path, inside: int = 0) -> str:
        line = line_of(self.text, self.form, path)
        told = f"{self.source}, line {line + inside}" if line is not None else self.source
        return f"{told}, {field(path)}" if path else told

    def wrong(self, path: Path, what: str, fix: str | None = None, why: str | None = None) -> RfcalcError:
        return RfcalcError(what, where=self.where(path), why=why, fix=fix)

    @contextmanager
    def at(self, path: Path) -> Iterator[None]:
        """Give what is refused inside the field as its place."""
        try:
            yield
        except RfcalcError as error:
            if error.where and error.where.startswith(self.source):
                raise
            position = _POSITION.match(error.where or "")
            inside = self._inside(path, int(position[1])) if position else 0
            where = self.where(path, inside) + (f", column {position[2]}" if position else "")
            raise RfcalcError(error.what, where=where, why=error.why, fix=error.fix) from None

    def _inside(self, path: Path, line: int) -> int:
        """How far below a field's line the n-th line of its text stands."""
        first = line_of(self.text, self.form, path)
        if self.form == "json" or first is None:
            return 0
        opening = self.text.split("\n")[first - 1].rstrip()
        return line - (0 if opening.endswith(('"""', "'''")) else 1)

    def network(self, data: Mapping[str, Any]) -> LoadedSpec:
        self._known(data, TOP, ())
        told = data.get("schema", SCHEMA)
        if told != SCHEMA:
            raise self.wrong(("schema",), f"this is {told!r}, not a spec", f"a spec is {SCHEMA!r}")
        about = {key: self._text(data, key) for key in ("name", "title", "citation")}
        if "layers" not in data:
            raise self.wrong((), "there are no layers", 'add layers = "conv3-64 relu > maxpool2"')
        blocks = data.get("blocks", {})
        if not isinstance(blocks, Mapping):
            raise self.wrong(("blocks",), "blocks is not a table", "write [blocks.name]")
        if len(blocks) > MOST_BLOCKS:
            raise self.wrong(("blocks",), f"{len(blocks):,} blocks are too many", f"the limit is {MOST_BLOCKS:,}")
        for name in self._order(blocks):
            self._define(name, blocks[name])
        path: Path = ("layers",)
        inputs = self._inputs(data)
        outputs = data.get("outputs", [])
        if not isinstance(outputs, list) or not all(isinstance(o, str) for o in outputs):
            raise self.wrong(("outputs",), "outputs is not a list of names", 'write outputs = ["fc8"]')
        expr, reading = self._layers(data["layers"], path, symbols=False)
        with self.at(("outputs",) if "outputs" in data else path):
            head = reading.header._replace(inputs=tuple(inputs.items()), outputs=tuple(outputs), **about)
            return LoadedSpec(reading._replace(expr=expr, header=head).network(), merged(self.assumed))
        raise AssertionError

    def _known(self, table: Mapping[str, Any], names: tuple[str, ...], path: Path) -> None:
        for key in table:
            if key not in names:
                raise self.wrong((*path, key), f"unknown field {key!r}", suggestion(key, names))

    def _text(self, table: Mapping[str, Any], key: str, path: Path = ()) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.wrong((*path, key), f"{key} is not a text", f'write {key} = "…"')
        return value

    def _inputs(self, data: Mapping[str, Any]) -> dict[str, Shape | None]:
        if "input" in data and "inputs" in data:
            raise self.wrong(("inputs",), "there is an input already", "write input for one, inputs for several")
        given = data.get("inputs", {"input": data.get("input", "?")})
        if not isinstance(given, Mapping) or not given:
            raise self.wrong(("inputs",), "inputs is not a table of shapes", 'write inputs = {left = "3x32x32"}')
        found = {}
        for name, shape in given.items():
            path: Path = ("inputs", name) if "inputs" in data else ("input",)
            if isinstance(shape, list):
                shape = "x".join(map(str, shape))
            if not isinstance(shape, str):
                raise self.wrong(path, f"{shape!r} is not a shape", 'write it like "3x224x224"')
            with self.at(path):
                found[name] = read_shape(shape)
        return found

    def _order(self, blocks: Mapping[str, Any]) -> list[str]:
        """The blocks, each after those that it uses."""
        uses = {
            name: {word for word in _WORD.findall(json.dumps(block, default=str)) if word in blocks}
            for name, block in blocks.items()
        }
        waiting, found = dict(uses), dict.fromkeys(blocks, False)
        order: list[str] = []
        while waiting:
            ready = [name for name, used in waiting.items() if all(found[u] for u in used)]
            for name in ready:
                order.append(name)
                found[name] = True
                del waiting[name]
            if not ready:
                name = next(iter(waiting))
                raise self.wrong(("blocks", name), f"the block {name} is part of itself", "blocks cannot go in circles")
        return order

    def _define(self, name: str, block: Any) -> None:
        path: Path = ("blocks", name)
        if not isinstance(block, Mapping):
            raise self.wrong(path, f"the block {name} is not a table", f"write [blocks.{name}]")
        if not _NAME.match(name) or kind_of(name) is not None:
            why = "a layer has this name" if _NAME.match(name) else "a block's name is letters, digits and _"
            raise self.wrong(path, f"a block cannot be called {name!r}", "give it another name", why)
        self._known(block, ("parameters", "layers"), path)
        given = block.get("parameters", [])
        given = dict.fromkeys(given) if isinstance(given, list) and all(isinstance(p, str) for p in given) else given
        if not isinstance(given, Mapping):
            raise self.wrong((*path, "parameters"), "parameters is not a list of names", 'write ["a", "b"]')
        for key, value in given.items():
            if not _NAME.match(key) or not (value is None or (isinstance(value, int) and value is not True)):
                raise self.wrong(
                    (*path, "parameters"), f"{key!r} is not a parameter with a whole number as its default"
                )
        if "layers" not in block:
            raise self.wrong(path, "the block has no layers", f'write layers = "conv3-64" under [blocks.{name}]')
        expr, reading = self._layers(block["layers"], (*path, "layers"), symbols=True)
        for value in reading.symbolic:
            unknown = value.free_symbols - given.keys()
            if unknown:
                told = ", ".join(sorted(unknown))
                raise self.wrong((*path, "layers"), f"{told} is not a parameter", "name it under parameters")
        self.blocks[name] = Definition(name, tuple(given.items()), expr, reading.symbolic)

    def _layers(self, given: Any, path: Path, symbols: bool) -> tuple[Expr, Reading]:
        """Layers as one text of notation, or as a list; with what was read."""
        if isinstance(given, str):
            reading = self._notation(given, path, symbols)
            return reading.expr, reading
        if not isinstance(given, list) or not given:
            raise self.wrong(path, "layers is neither notation nor a list", 'write layers = "conv3-64 > maxpool2"')
        items = []
        for i, item in enumerate(given):
            inner: Path = (*path, i)
            if isinstance(item, str):
                items.append(self._notation(item, inner, symbols).expr)
            elif isinstance(item, Mapping):
                with self.at(inner):
                    items.append(self._table(item, inner, symbols))
            else:
                raise self.wrong(inner, f"{item!r} is neither notation nor a table")
        with self.at(path):
            expr = items[0] if len(items) == 1 else series(items)
        return expr, self._checked(expr, path, symbols)

    def _checked(self, expr: Expr, path: Path, symbols: bool) -> Reading:
        """What notation checks of names in sizes and of how they grow, for layers that were given as tables."""
        try:
            return parse(write(expr, None), symbols)._replace(labels=())
        except NotationError as error:
            raise self.wrong(path, error.what, error.fix) from None

    def _notation(self, text: str, path: Path, symbols: bool) -> Reading:
        with self.at(path):
            reading = parse(text, symbols, self.blocks)
            if reading.header.name or reading.header.inputs or reading.header.outputs:
                raise NotationError("a header has no place inside a spec", fix="use the fields of the spec")
            self.assumed.update(dict.fromkeys(reading.assumptions))
            return reading
        raise AssertionError

    def _table(self, table: Mapping[str, Any], path: Path, symbols: bool) -> Expr:
        said = [key for key in ("kind", "notation", "block") if key in table]
        if len(said) != 1:
            fix = 'write {kind = "conv", out_channels = 64, kernel = 3} or {notation = "conv3-64 relu"}'
            raise self.wrong(path, "a layer has one of kind, notation and block", fix)
        ways: dict[str, Callable[..., Expr]] = {"kind": self._kind, "notation": self._words, "block": self._block}
        expr = ways[said[0]](table, path, symbols)
        return self._around(expr, table, path)

    def _words(self, table: Mapping[str, Any], path: Path, symbols: bool) -> Expr:
        self._known(table, ("notation", *AROUND), path)
        return self._notation(self._text(table, "notation", path), (*path, "notation"), symbols).expr

    def _block(self, table: Mapping[str, Any], path: Path, symbols: bool) -> Expr:
        self._known(table, ("block", "with", *AROUND), path)
        name = self._text(table, "block", path)
        definition = self.blocks.get(name)
        if definition is None:
            raise self.wrong((*path, "block"), f"unknown block {name!r}", suggestion(name, list(self.blocks)))
        given = table.get("with", {})
        if not isinstance(given, Mapping):
            raise self.wrong((*path, "with"), "with is not a table of numbers", "write with = {a = 64}")
        told = ", ".join(f"{key}={value}" for key, value in given.items())
        return self._notation(f"{name}({told})", (*path, "with" if given else "block"), symbols).expr

    def _kind(self, table: Mapping[str, Any], path: Path, symbols: bool) -> Expr:
        name = self._text(table, "kind", path)
        kind = LAYERS.get(name)
        if kind is None:
            raise self.wrong((*path, "kind"), f"unknown layer kind {name!r}", suggestion(name, LAYERS.names()))
        names = tuple(f.name for f in parameters(kind))
        self._known(table, ("kind", *names, *AROUND), path)
        given = {}
        for key in names:
            if key in table:
                with self.at((*path, key)):
                    given[key] = _value(table[key])
        with self.at(path):
            try:
                return kind(**given)
            except (TypeError, AttributeError, ValueError):
                told = ", ".join(f for f in names if f not in given)
                raise RfcalcError(f"{name} cannot be made of these fields", fix=f"it also has {told}") from None
        raise AssertionError

    def _around(self, expr: Expr, table: Mapping[str, Any], path: Path) -> Expr:
        """The expression with its name, inputs, repetition and headings."""
        sources = table.get("inputs", table.get("input", []))
        sources = [sources] if isinstance(sources, str) else sources
        if not isinstance(sources, list) or not all(isinstance(s, str) for s in sources):
            raise self.wrong((*path, "inputs"), "inputs is not a list of names", 'write inputs = ["conv1", "conv2"]')
        if "input" in table and "inputs" in table:
            raise self.wrong((*path, "inputs"), "there is an input already", "write one of input and inputs")
        before: list[Expr] = []
        if len(sources) > 1 or (isinstance(expr, Layer) and expr.arity[0] > 1):
            if not isinstance(expr, Layer):
                raise self.wrong((*path, "inputs"), "only a single layer takes several inputs")
            expr = Parallel(tuple(Ref(s) for s in sources), expr)
        elif sources:
            before = [Ref(sources[0])]
        times = table.get("repeat")
        if times is not None:
            if not isinstance(times, (int, str)) or times is True:
                raise self.wrong((*path, "repeat"), f"{times!r} is not a number")
            with self.at((*path, "repeat")):
                expr = repeat(expr, _value(times), self._text(table, "index", path) or None)
        for key in ("name", "shared", "scope", "stage"):
            label = self._text(table, key, path)
            if label:
                way = {"name": expr.named, "shared": expr.shared, "scope": expr.block, "stage": expr.stage}[key]
                with self.at((*path, key)):
                    expr = way(label)
        return series([*before, expr]) if before else expr


def _value(value: Any) -> Any:
    """A parameter: lists become tuples, a text in parentheses is an expression."""
    if isinstance(value, list):
        return tuple(_value(v) for v in value)
    if isinstance(value, str) and value.startswith("("):
        return read(value)
    if isinstance(value, int) and abs(value) > WHOLE:
        raise RfcalcError("the number is too large", why=f"the limit is {WHOLE:,}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise RfcalcError(f"{value!r} is not a number, a text or a list")
