"""What a user may name becomes a network, loading only what that needs."""

from __future__ import annotations

from importlib import import_module
from os.path import isdir, isfile
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.errors import NetworkError, NotationError, RfcalcError, UnknownName, plural
from rfcalc.core.expr import Expr
from rfcalc.core.shape import Shape, by_name, doubtful
from rfcalc.core.size import Size
from rfcalc.graph.network import Network
from rfcalc.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rfcalc.notation.parse import Reading
    from rfcalc.report.field_report import FieldReport
    from rfcalc.zoo import Entry

DEFAULT_INPUT = "3x224x224"
FILES = {".toml": "rfcalc.spec", ".json": "rfcalc.spec"}  # ending → module with load(path)
# ending → module with load(path, inputs); see rfcalc.readers.imported
IMPORTERS: dict[str, str] = {
    ".onnx": "rfcalc.readers.onnx",
    ".keras": "rfcalc.readers.keras",
    ".cfg": "rfcalc.readers.text",
    ".txt": "rfcalc.readers.text",
}
WEIGHTS = "it holds weights, and at most a pickled object, which is never run"
NOT_NETWORKS = {  # endings of files that are not read → why, and what to do
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".safetensors"), (WEIGHTS, "name the code: model.py:build")),
    ".h5": ("the format of Keras before 3", 'load it and save it again: model.save("model.keras")'),
    ".pt2": ("it runs through torch.export only", "name the code, model.py:build, or write an ONNX file"),
    ".tflite": ("TensorFlow's own format", "write an ONNX file (tf2onnx)"),
    ".pb": ("TensorFlow's own format", "write an ONNX file (tf2onnx)"),
}
MODELS = {  # class → module with read(model, inputs); of a Keras model that is a torch module too, Keras comes first
    "keras.src.models.model.Model": "rfcalc.readers.keras",
    "torch.nn.modules.module.Module": "rfcalc.readers.torch.importer",
}
STDIN = "-"  # pasted text
KERAS_KEYS = ("module", "class_name", "config", "build_config", "compile_config", "registered_name", "keras_version")


class Target(NamedTuple):
    """A network, how it was named, what had to be assumed to read it, and whether its inputs are those it was read with
    (and what the user gave has been used); `inputs`: those of a report, for where none are given; `given`: by node,
    what a file computes from the sizes of maps for its operator."""

    network: Network
    name: str
    assumptions: tuple[str, ...] = ()
    bound: bool = False
    dtype: str = "float32"
    inputs: Any = None
    given: Mapping[str, tuple[Any, ...]] = {}

    def at(self, given: Any = None) -> tuple[Any, tuple[str, ...]]:
        """The input to walk the network with, and all that is assumed: `DEFAULT_INPUT` where there is none at all."""
        if self.bound:
            return None, self.assumptions
        if given is None and self.inputs is not None:
            return self.inputs, self.assumptions
        if given is None and list(self.network.inputs.values()) == [None]:
            return DEFAULT_INPUT, (f"the input is {DEFAULT_INPUT}: none was given", *self.assumptions)
        return given, (*doubts(self.network.inputs, given), *self.assumptions)


class Named(NamedTuple):
    """What a target names, before it is read.

    `sort`: ``value`` (a `Network`, an expression, …), ``zoo``, ``notation``, ``text`` (pasted, or a file of it),
    ``spec``, ``file`` (a framework's), ``code``, ``model`` (an object of a framework), ``other`` (a file that no
    network is read from). `read(input)` reads it; of the zoo there is its `entry`, of notation its `reading`.
    """

    name: str
    sort: str
    read: Callable[[Any], Target]
    entry: Entry | None = None
    reading: Reading | None = None

    @property
    def open(self) -> bool:
        """Whether names stand for sizes in its notation, so that only formulas can tell its figures."""
        return self.reading is not None and bool(self.reading.symbolic)

    @property
    def again(self) -> bool:
        """Whether it can be read at any size of its input."""
        return self.sort in ("code", "model", "file", "text")


def resolve(target: Any, input: Any = None) -> Target:  # noqa: A002
    """The network that a target names; `input` is what a framework's model is read with.

    Raises:
        RfcalcError: as `named`; whatever stops the reading.
    """
    return target if type(target) is Target else named(target).read(input)


def named(target: Any) -> Named:
    """What a target names: a `Network`, an expression, a report, an importer's result, a model, or a text. Nothing is
    run yet.

    A text is, in this order: a file by its ending (`FILES`, `IMPORTERS`, or ``path.py:object``) or ``-`` for standard
    input, a network of the zoo, ``py:module:object``, notation; what is none of these may be in one of the formats of
    `rfcalc.readers.text`. Only the two forms with an object run code of the user's, when they are read.

    Raises:
        UnknownName: a word that is neither a network nor a layer, with the nearest names.
        NotationError: a text that cannot be read.

    >>> named("vgg16").sort, named("conv3-64 x2").sort, named("py:package.module:Net").sort, named("7,2,1,SAME").sort
    ('zoo', 'notation', 'code', 'text')
    >>> named("conv3-C").open
    True
    """
    kind = type(target)  # not isinstance: it asks the object for its class, and a foreign one may not answer
    if not issubclass(kind, str):
        return _object_named(target, kind)
    text = target.strip()
    if not text:
        raise RfcalcError("the network is empty", fix="name one (`rfcalc list`), or write it: conv3-64 > maxpool2")
    from rfcalc import zoo

    found = _file_named(text)
    if found is not None:
        return found
    word = not any(c in text for c in " \n>|+()[]")
    entry = zoo.find(text, everywhere=False) if word else None
    if entry is not None:
        return _of_zoo(entry)
    if text.startswith("py:"):
        return Named(text, "code", lambda given: _from_module(text, given))
    from rfcalc.notation import parse

    try:
        reading = parse(text, symbols=True)
        error = None
    except NotationError as refused:
        reading, error = None, refused
        entry = zoo.find(text) if word else None  # which loads every family: no name of one is notation
        if entry is not None:
            return _of_zoo(entry)
    if error is not None or (reading is not None and reading.symbolic):
        from rfcalc.readers.text import format_of

        form = format_of(text)
        if form is not None:
            return Named(form, "text", lambda given: _pasted(text, form, given))
    if error is not None:
        from rfcalc.readers.unread import unread

        raise unread(text, error, word, (*FILES, *IMPORTERS)) from None
    assert reading is not None
    return Named(reading.header.name or text, "notation", lambda given: _written(text, reading), reading=reading)


def _of_zoo(entry: Entry) -> Named:
    return Named(entry.name, "zoo", lambda given: Target(entry.build(), entry.name), entry)


def _object_named(target: Any, kind: type) -> Named:
    """What an object of Python is: a network, or a model of a framework."""
    if kind is Target:
        return Named(target.name, "value", lambda given: target)
    if issubclass(kind, Network):
        return Named(target.name or "network", "value", lambda given: Target(target, target.name or "network"))
    if issubclass(kind, Expr):
        return Named("network", "value", lambda given: Target(Network(target), "network"))
    if issubclass(kind, Report):
        about = (target.network, target.target, target.assumptions)
        return Named(
            target.target, "value", lambda given: Target(*about, dtype=target.dtype, inputs=dict(target.inputs))
        )
    from rfcalc.readers.imported import Imported

    if issubclass(kind, Imported):
        name = target.network.name or "network"
        return Named(name, "value", lambda given: Target(target.network, name, target.assumptions, dtype=target.dtype))
    reader = _framework(target)
    if reader is not None:
        return Named(kind.__name__, "model", lambda given: _model(target, reader, given))
    if issubclass(kind, dict):  # what torch.save(model.state_dict()) keeps
        what = f"{kind.__name__} of {plural(len(target), 'entry', 'entries')} is not a network"
        why = "it holds values by name, such as weights, and no code that says what is computed"
        raise RfcalcError(what, why=why, fix="name the class or the function that makes the model: model.py:Net")
    try:
        shown = repr(target).partition("\n")[0][:80]
    except Exception:  # a foreign object may fail even at this
        shown = "object"
    raise RfcalcError(
        f"{kind.__name__} {shown} is not a network",
        fix='give a name ("vgg16"), notation, a Network, or a model of a framework',
    )


def _model(target: Any, reader: str, given: Any) -> Target:
    """A framework's model, read with an input."""
    read = import_module(reader).read(target, given)
    return Target(read.network, read.network.name, read.assumptions, True, read.dtype)


def _written(text: str, reading: Reading) -> Target:
    """The network of notation.

    Raises:
        NotationError: names in it stand for sizes.
    """
    if reading.symbolic:
        from rfcalc.notation import parse
        from rfcalc.notation.meant import mended

        try:
            parse(text)  # says which names, and where
        except NotationError as error:
            raise mended(text, error) from None
    return Target(reading.network(), reading.header.name or text, reading.assumptions)


def _pasted(text: str, form: str, given: Any) -> Target:
    """The network of a text in a format of its own, such as ``7,2,1,SAME;3,2,1,SAME``."""
    from rfcalc.readers.text import from_text

    loaded = from_text(text, given)
    about = (loaded.network, loaded.network.name or form, loaded.assumptions)
    return Target(*about, bound=bool(loaded.given))


def _standard_input(given: Any) -> Target:
    loaded = import_module("rfcalc.readers.text").load(STDIN, given)
    about = (loaded.network, loaded.network.name or "standard input", tuple(loaded.assumptions))
    return Target(*about, bound=bool(loaded.given))


def _file_named(text: str) -> Named | None:
    """The file that a text names by its ending, or standard input; None for any other text."""
    if text == STDIN:
        return Named("standard input", "text", _standard_input)
    path, sign, name = text.partition(".py:")
    if sign and "\n" not in text and not text.startswith("py:") and (isfile(f"{path}.py") or name[:1].isidentifier()):
        return Named(text, "code", lambda given: _from_script(f"{path}.py", name, given))
    ending = text[text.rfind(".") :].lower()
    module = FILES.get(ending) or IMPORTERS.get(ending)
    if (module is not None or "/" in text) and isdir(text):  # a name alone may be a network's
        raise RfcalcError("this is a folder", where=text, fix="give a path to a file in it")
    known = module is not None or ending == ".py" or ending in NOT_NETWORKS
    if not known or "\n" in text or (not isfile(text) and ">" in text):
        return None
    sort = "other" if module is None else "spec" if ending in FILES else "text" if "text" in module else "file"
    if sort == "spec" and ending == ".json" and _first_key(text) in KERAS_KEYS:
        module, sort = IMPORTERS[".keras"], "file"
    return Named(text, sort, lambda given: _from_file(text, module, ending, given))


def _from_file(path: str, module: str | None, ending: str, given: Any) -> Target:
    """The network of a file."""
    if not isfile(path):
        raise _no_such_file(path)
    if module is None:
        raise _not_a_network(path, ending)
    imported = module in IMPORTERS.values()
    loader = import_module(module).load
    loaded = loader(path, given) if imported else loader(path)
    more = getattr(loaded, "given", {})
    bound = imported and ("text" not in module or bool(loaded.given))
    return Target(loaded.network, path, tuple(loaded.assumptions), bound, given=more)


def _no_such_file(path: str) -> RfcalcError:
    from rfcalc.readers.unread import no_such_file

    return no_such_file(path, (*FILES, *IMPORTERS))


def _not_a_network(path: str, ending: str) -> RfcalcError:
    """What is told of a file that no network is read from."""
    if ending == ".py":
        from rfcalc.readers.user_code import defined

        first, *others = defined(path) or ["build"]
        fix = f"name one: {path}:{first}" + (f" (or {', '.join(others)})" if others else "")
        return RfcalcError("a file of code is run only for an object of it", where=path, fix=fix)
    why, fix = NOT_NETWORKS[ending]
    return RfcalcError("no network is read from this file", where=path, why=why, fix=fix)


def _first_key(path: str) -> str:
    """The first key of a JSON file: specs and models that Keras wrote down begin with other ones."""
    try:
        with open(path, "rb") as file:
            start = file.read(200).decode("utf-8-sig", "replace")
    except OSError:
        return ""
    return start.partition('"')[2].partition('"')[0] if start.lstrip().startswith("{") else ""


def _from_script(path: str, name: str, given: Any) -> Target:
    """An object of a Python file, which is run."""
    if not isfile(path):
        raise _no_such_file(path)
    from rfcalc.readers import user_code

    return _object(*user_code.from_script(path, name), f"{path}:{name}", given)


def _from_module(text: str, given: Any) -> Target:
    """An object of an installed module: ``py:package.module:object``."""
    from rfcalc.readers import user_code

    return _object(*user_code.from_module(text), text, given)


def _object(holder: Any, reference: Any, text: str, given: Any) -> Target:
    """A network, an expression, a framework's model, or what a class or function makes of its arguments."""
    from rfcalc.readers.user_code import made

    built = made(holder, reference, text)
    try:
        found = resolve(built, given)
        if found.network.source is not None:  # what is measured has weights
            found.network.source.make = lambda: made(holder, reference, text, light=False)
        return found._replace(name=text)
    except RfcalcError:
        if _framework(built) is None:
            raise
    # a model that was built without memory and needs values of its own
    return resolve(made(holder, reference, text, light=False), given)._replace(name=text)


def _framework(target: Any) -> str | None:
    """The module that reads this object, if it is a model of a framework; nothing is imported to find out."""
    for base in type(target).__mro__:
        reader = MODELS.get(f"{base.__module__}.{base.__qualname__}")
        if reader is not None:
            return reader
    return None


def with_inputs(network: Network, given: Any) -> Network:
    """The network with these default input shapes; None leaves them.

    Raises:
        UnknownName: an input that the network does not have.
    """
    if given is None:
        return network
    shapes = dict(network.inputs)
    for name, shape in by_name(given, tuple(shapes)).items():
        if name not in shapes:
            raise UnknownName("input", name, list(shapes))
        shapes[name] = Shape.of(shape)
    about = {key: getattr(network, key) for key in ("outputs", "name", "title", "citation", "torch")}
    return Network(network.expr, shapes, **about)


def numbers(given: Any) -> Any:
    """An input as the user gave it, if it is of numbers only; None if there are names in it, or it is no shape.

    >>> numbers("3x32x32"), numbers("CxHxW"), numbers({"x": "3x8x8"})
    (Shape(3, 32, 32), None, {'x': Shape(3, 8, 8)})
    """
    try:
        if isinstance(given, dict):
            return {name: Shape.of(shape) for name, shape in given.items()}
        if isinstance(given, list):
            return [Shape.of(shape) for shape in given]
        return None if given is None else Shape.of(given)
    except RfcalcError:
        return None


def doubts(inputs: Mapping[str, Any], given: Any) -> Iterator[str]:
    """What to say of shapes for inputs that take any, where others were probably meant."""
    shapes = numbers(given)
    if shapes is None or None not in inputs.values():
        return
    for name, shape in by_name(shapes, tuple(inputs)).items():
        found = doubtful(shape) if inputs.get(name, shape) is None else None
        if found is not None:
            channels, places = plural(shape.channels, "channel"), "x".join(map(str, shape.spatial))
            yield f"the input is {channels} of {places}, as {found[0]}; did you mean {found[1]}?"


def load(target: Any, input: Any = None) -> Network:  # noqa: A002
    """The network that a target names; `input` is what a framework's model is read with.

    >>> import rfcalc
    >>> rfcalc.load("vgg16").node("conv1_1").layer
    Conv(64, 3, padding=1)
    """
    return resolve(target, input).network


def analyze(target: Any, input: Any = None, *, batch: Size = 1, dtype: str | None = None) -> Report:  # noqa: A002
    """Analyse a network: shapes, parameters, operations, memory, receptive fields.

    Args:
        target: a `Network`, an expression, the name of a network of the literature, notation, a model of a framework
            or what `from_torch` and the other readers give, or a report (again, or with other inputs).
        input: its input shape (``"3x224x224"``, a tuple), or shapes by input name; its default if left out, and
            3x224x224 for notation (which is then among the assumptions).
        batch: multiplies values, bytes and operations.
        dtype: ``float32``, ``float16``, …; a module's own, else float32, if left out.

    Raises:
        RfcalcError: what cannot be read or does not fit; the message says where, what, why and how to fix it.

    >>> import rfcalc
    >>> rfcalc.analyze("vgg16").totals.macs
    15470264320
    """
    if type(target) is Report and input is None and batch == 1 and dtype is None:
        return target
    found = resolve(target, input)
    shapes, assumptions = found.at(input)
    kind = dtype or found.dtype
    return Report(found.network, shapes, batch=batch, dtype=kind, target=found.name, assumptions=assumptions)


def receptive_field(
    target: Any,
    at: str | None = None,
    *,
    source: str | None = None,
    input: Any = None,  # noqa: A002
    via: str | None = None,
    without: str | None = None,
) -> FieldReport:
    """What a node of a network sees: receptive field, real pixels, phases, holes, influence.

    Args:
        target, input: as for `analyze`.
        at: the node (a stage or block means its last); the network's output if left out.
        source: an input or an earlier node; the first input if left out.
        via, without: only along the paths through this node, or around it.

    >>> import rfcalc
    >>> rfcalc.receptive_field("vgg16", "conv5_3").field.size
    (196, 196)
    >>> rfcalc.receptive_field("resnet18", "layer1.0", without="layer1.0.conv1").field.size  # the shortcut alone
    (11, 11)
    """
    from rfcalc.report.field_report import FieldReport

    report = analyze(target, input)
    whole = report.network
    if via is not None or without is not None:
        names = [*report.network.inputs, *(node.name for node in report.network.nodes)]  # stages are not kept
        at = None if at is None else names[report.network.position(at)]
        source = None if source is None else names[report.network.position(source)]
        report = report.along(via, without)
    found = FieldReport(report, at, source)
    if without is not None and whole.position(without) == whole.position(found.source_name):
        raise NetworkError(f"no path from {found.source_name} leads around it", fix="name a node behind it")
    if via is not None:
        from rfcalc.receptive.paths import require_path

        require_path(whole, found.source_name, via, found.name)
    return found
