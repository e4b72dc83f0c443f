"""Every figure by name: where it is read from, how it is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from operator import attrgetter
from typing import Any, NamedTuple

from rfcalc.core import Registry
from rfcalc.core.errors import UnknownName
from rfcalc.core.size import decide, is_number
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.report import Report, Row
from rfcalc.report.units import bytes_short, exact, short


class Metric(NamedTuple):
    """One figure: its `name`, a `title` for a column, what it means, how to read it from a row or the totals (None
    where it has no value there), how to print it short and in full."""

    name: str
    title: str
    meaning: str
    row: Callable[[Row], Any] | None
    whole: Callable[[Report], Any] | None = None
    short: Callable[[Any], str] = short
    full: Callable[[Any], str] = exact
    right: bool = True
    adds: bool = False  # whether the figures of folded rows are summed

    @property
    def together(self) -> bool:
        """Whether nodes have the figure together, as a sum."""
        return self.adds or self.name in ("bytes", "values") or self.name in SHARES

    def over(self, rows: Sequence[Row]) -> Any:
        """The figure of several rows together: the sum of what adds up, memory without views and what is written in
        place; else that of the last row."""
        of = METRICS[SHARES.get(self.name, self.name)]
        assert of.row is not None
        report = rows[-1].report
        value: Any
        if of.name in ("bytes", "values"):
            value = sum(row.new_values for row in rows) * (report.itemsize if of.name == "bytes" else 1)
        elif of.adds:
            value = sum(of.row(row) for row in rows)
        else:
            return of.row(rows[-1])
        return part(value, of.whole(report)) if of is not self and of.whole is not None else value

    def at(self, report: Report, name: str) -> Any:
        """The figure of a node; of a stage or block, that of all its nodes together.

        Raises:
            UnknownName: nothing is called so.

        >>> from rfcalc import analyze
        >>> METRICS["params"].at(analyze("vgg16"), "classifier")
        123642856
        """
        assert self.row is not None
        inside = report.inside(name)
        return self.over(inside) if inside else self.row(report[name])


METRICS: Registry[Metric] = Registry("metric")
SHARES = {"params_share": "params", "macs_share": "macs", "memory_share": "bytes"}  # parts of the network's total


def _axes(values: Any) -> str:
    """One number where all axes agree, else 7x5; a dash where there is none."""
    if not values or all(v is None for v in values):
        return "–"
    shown = ["–" if v is None else str(v) for v in values]
    return shown[0] if len(set(shown)) == 1 else "x".join(shown)


def _shape(dims: Any) -> str:
    return "x".join(map(str, dims))


def _each(read: Callable[[ReceptiveField], Any]) -> Callable[[Row], Any]:
    """A figure of the receptive field; of the first input where there are several."""

    return lambda row: read(row.receptive_field)


def size_text(row: Row) -> str:
    """The receptive field's size for a table cell; what kind of answer it is where it is not a plain size."""
    return " ".join(map(_size_text, row.receptive_fields.values()))


def _size_text(field: ReceptiveField) -> str:
    status = field.status
    if status == "global":
        local = _axes(field.size)
        whole = "all" if field.sees_whole_input() else "fixed"
        return whole if local == "–" else f"{whole} ({local})"
    if status in ("periodic", "bounded") and None not in field.size:
        alike = field.largest != field.size and all(len(set(sizes)) == 1 for sizes in field.sizes_of_units)
        return f"{'' if alike and status == 'periodic' else '≤'}{_axes(field.largest)}"
    return {
        "none": "none",
        "unknown": "unknown",
        "needs_input_size": "needs size",
        "shift_variant": "varies",
        "bounded": "≤ all",
    }.get(status) or _axes(field.size)


def part(value: Any, whole: Any) -> Any:
    """A share of a whole as a fraction, with symbols as a formula; None where the whole is nothing."""
    if decide(whole == 0):
        return None
    if is_number(value) and is_number(whole):
        return Fraction(int(value), int(whole))
    share = (value / whole).cancel()
    return Fraction(int(share.p), int(share.q)) if getattr(share, "is_Rational", False) else share


def percent(share: Any) -> str:
    """A share in percent with one decimal.

    >>> percent(Fraction(1, 3)), percent(Fraction(1)), percent(Fraction(1, 10000))
    ('33.3 %', '100.0 %', '< 0.1 %')
    """
    if not isinstance(share, Fraction):
        return "–" if share is None else str(share)
    tenths = (share.numerator * 2000 + share.denominator) // (2 * share.denominator)
    return f"{tenths // 10}.{tenths % 10} %" if tenths or not share else "< 0.1 %"


def _add(name: str, title: str, meaning: str, row: Any, whole: Any = None, aliases: Any = (), **how: Any) -> None:
    METRICS.add(name, Metric(name, title, meaning, row, whole, **how), tuple(aliases))


def _total(name: str) -> Callable[[Report], Any]:
    return lambda report: getattr(report.totals, name)


def _last(report: Report) -> Row:
    return report.outputs[0]


_text: dict[str, Any] = {"short": str, "full": str, "right": False}
_add("name", "layer", "the node's name", lambda r: r.name, aliases=("layer",), **_text)
_add("kind", "kind", "the layer kind", lambda r: r.kind, **_text)
_add("notation", "notation", "the layer as the papers write it", lambda r: r.notation, **_text)
_add("stage", "stage", "the stage it stands in", lambda r: r.stage, **_text)
_add("inputs", "inputs", "the nodes it reads", lambda r: ", ".join(r.inputs), **_text)
_add(
    "output_shape",
    "output",
    "output shape, channels first, without the batch",
    lambda r: r.output_shape,
    lambda t: _last(t).output_shape,
    ("output", "shape"),
    short=_shape,
    full=_shape,
)
for _name, _title, _meaning, _read, _aliases in (
    (
        "receptive_field",
        "rf",
        "receptive field: side of the hull of input positions that a unit depends on, padding counted",
        "size",
        ("rf", "size", "rf_size"),
    ),
    (
        "stride",
        "stride",
        "effective stride: input positions between neighbouring units",
        "stride",
        ("effective_stride", "jump"),
    ),
    ("padding", "pad", "effective padding: how far unit 0 begins before pixel 0", "padding", ("effective_padding",)),
    (
        "center",
        "centre",
        "centre of unit 0's receptive field; pixel 0 is centred at 0",
        "center",
        ("centre", "start"),
    ),
    (
        "lookback",
        "look-back",
        "look-back: how far a unit sees before its own place ⌊u·A/P⌋, in input positions",
        "lookback",
        ("look-back",),
    ),
    (
        "lookahead",
        "look-ahead",
        "look-ahead: how far a unit sees after its own place ⌊u·A/P⌋, in input positions",
        "lookahead",
        ("look-ahead",),
    ),
):
    _row = _each(attrgetter(_read))
    _whole = (lambda row: lambda t: row(_last(t)))(_row)
    _add(_name, _title, _meaning, _row, _whole, _aliases, short=_axes, full=_axes)
_add("status", "status", "what kind of answer the receptive field is", _each(lambda f: f.status), **_text)
_add(
    "seen",
    "F",
    "size of this map's region that one unit of the last spatial layer depends on: F(i) = (F(i+1) − 1)·stride + k",
    lambda r: r.report.seen(r.position),
    None,
    ("f", "backward"),
    short=_axes,
    full=_axes,
)
for _name, _title, _meaning in (
    ("weights", "weights", "multiplicative parameters"),
    ("biases", "biases", "additive parameters"),
    ("buffers", "buffers", "running statistics, not trained"),
    ("params", "params", "parameters: weights + biases"),
    ("trainable", "trainable", "parameters that get a gradient; all, where a source does not say"),
    ("frozen", "frozen", "parameters that get no gradient: params − trainable"),
    ("macs", "macs", "multiply-adds of convolutions, linear layers and attention products"),
    ("flops", "flops", "2 × macs"),
    (
        "input_gradient_macs",
        "input gradient",
        "multiply-adds of backward for the gradients of maps; none below the first layer that is trained",
    ),
    (
        "weight_gradient_macs",
        "weight gradient",
        "multiply-adds of backward for the gradients of weights; none for frozen ones",
    ),
    ("backward_macs", "backward", "input_gradient_macs + weight_gradient_macs"),
    ("training_flops", "training flops", "a step of training: 2 × (macs + backward_macs)"),
):
    _add(
        _name,
        _title,
        _meaning,
        (lambda n: lambda r: getattr(r, n))(_name),
        _total(_name),
        {"params": ("parameters",), "macs": ("multiply_adds", "mults")}.get(_name, ()),
        adds=True,
    )
_add(
    "values",
    "values",
    "output elements; in total the input too, views and in-place results not",
    lambda r: r.values,
    _total("values"),
)
_add(
    "bytes",
    "memory",
    "bytes of the output; in total the input too, views and in-place results not",
    lambda r: r.bytes,
    _total("bytes"),
    ("memory",),
    short=bytes_short,
)
_add(
    "saved_bytes",
    "saved",
    "bytes that PyTorch keeps for the backward pass in training mode (CPU), weights not counted",
    lambda r: r.saved_bytes,
    _total("saved_bytes"),
    ("saved",),
    short=bytes_short,
    adds=True,
)
_add(
    "peak_bytes",
    "peak",
    "largest sum of live maps while running forward, weights not counted",
    None,
    _total("peak_bytes"),
    ("peak",),
    short=bytes_short,
)
_add(
    "weight_layers",
    "weight layers",
    "layers with weights (what the 16 of VGG-16 counts)",
    lambda r: r.node.layer.weight_layers,
    _total("weight_layers"),
    ("depth",),
    adds=True,
)
for _name, _of, _title in tuple((name, of, f"% {METRICS[of].title}") for name, of in SHARES.items()):
    _add(
        _name,
        _title,
        f"part of the network's {METRICS[_of].title}",
        (lambda n: lambda r: part(getattr(r, n), getattr(r.report.totals, n)))(_of),
        (lambda n: lambda t: part(getattr(t.totals, n), getattr(t.totals, n)))(_of),
        short=percent,
        full=percent,
    )
_add("nodes", "nodes", "number of nodes", None, len)
for _name in (
    "conv_bias_adds",
    "linear_bias_adds",
    "norm",
    "activation",
    "pool_inputs",
    "pool_outputs",
    "adaptive_pool_inputs",
):
    _add(
        _name,
        _name.replace("_", " "),
        f"operations: {_name.replace('_', ' ')}",
        (lambda n: lambda r: r.op(n))(_name),
        (lambda n: lambda t: t.totals.op(n))(_name),
        adds=True,
    )


def metric(name: str) -> Metric:
    """The metric of this name or alias.

    Raises:
        UnknownName: with the nearest names.

    >>> metric("rf").name
    'receptive_field'
    """
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS.spellings(), fix="rfcalc columns lists them")
    return METRICS[name]


PRESETS = {  # a name for several columns
    "usual": ("name", "notation", "output_shape", "receptive_field", "stride", "params", "bytes", "macs"),
    "paper": ("name", "notation", "output_shape", "receptive_field", "params", "macs"),
    "fields": ("name", "output_shape", "receptive_field", "stride", "padding", "center", "seen"),
    "costs": ("name", "output_shape", "params", "params_share", "macs", "macs_share", "bytes", "memory_share"),
    "training": ("name", "output_shape", "params", "trainable", "saved_bytes", "macs", "backward_macs"),
}


def columns_named(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of these names, in order; names of `PRESETS` stand for theirs.

    Raises:
        UnknownName: there is no such column.
    """
    each = [n for name in names for n in PRESETS.get(name.strip().lower(), (name,))]
    try:
        return tuple(dict.fromkeys(metric(name) for name in each))
    except UnknownName:
        unknown = next(name for name in each if name not in METRICS)
        known = [*METRICS.spellings(), *PRESETS]
        raise UnknownName("column", unknown, known, fix="rfcalc columns lists them") from None
