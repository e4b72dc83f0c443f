"""Arithmetic, reductions, products of attention."""

from __future__ import annotations

from rfcalc.backend.kinds.merge import coupled
from rfcalc.backend.twin import At, Learned, Twin, kept_keys, measuring, text_only, twin
from rfcalc.core.errors import Unsupported
from rfcalc.readers.builder.vocabulary import NUMBERED, UNARY

SIGNS = {"sub": "-", "div": "/", "pow": "**", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
# Functions of one value that need nothing else, where PyTorch has them under another name than ATen's.
NAMED = {"softsign": "F.softsign", "tanhshrink": "F.tanhshrink", "log_sigmoid": "F.logsigmoid"}
NAMED |= {"special_expit": "torch.sigmoid", "special_erf": "torch.erf"}
KEEP = "a spec or notation keeps the layer: rfcalc export … --to spec"
BY = {"plus": "({{0}} + {})", "times": "({{0}} * {})", "rsub": "({} - {{0}})", "rdiv": "({} / {{0}})"}
BY |= {"pow": "({{0}} ** {})", "fmod": "torch.fmod({{0}}, {})", "clamp": "{{0}}.clamp({}, {})"}
BY |= {"maximum": "{{0}}.clamp(min={})", "minimum": "{{0}}.clamp(max={})"}
BY |= {name: f"({{{{0}}}} {SIGNS[name]} {{}})" for name in ("eq", "ne", "lt", "le", "gt", "ge")}
TWO = ["maximum", "minimum", "fmod", "atan2", "logical_and", "logical_or", "logical_xor"]


@twin("elementwise")
def elementwise(at: At) -> Twin:
    """
    Raises:
        Unsupported: a function whose number is not known, or one that is not known itself.
    """
    name, count, by = at.layer.function, len(at.xs), at.layer.by
    if count == 1 and by and name in BY and BY[name].replace("{{0}}", "").count("{}") == len(by):
        return text_only(BY[name].format(*(f"({n!r})" if n < 0 else repr(n) for n in by)))
    if count == 2 and name in SIGNS:
        return text_only(f"({{0}} {SIGNS[name]} {{1}})")
    if count == 3 and name == "where":
        return text_only("torch.where({0}.bool(), {1}, {2})")
    if (count == 1 and name in UNARY and name not in NUMBERED) or (count == 2 and name in TWO):
        return text_only(f"{NAMED.get(name, f'torch.{name}')}({', '.join(f'{{{i}}}' for i in range(count))})")
    maps = "one map" if count == 1 else f"{count} maps"
    if count == 1 and name in BY and not by:
        raise Unsupported(
            f"the function {name} of {maps} cannot be built", why="the number it works with is not known", fix=KEEP
        )
    raise Unsupported(
        f"the function {name} of {maps} cannot be built", why="PyTorch's counterpart is not known", fix=KEEP
    )


@measuring("elementwise")
def summed(at: At) -> Twin:
    return text_only("(" + " + ".join(f"{{{i}}}" for i in range(len(at.xs))) + ")")


MANY = {"sum": "sum", "max": "amax", "min": "amin", "amax": "amax", "amin": "amin", "var": "var", "std": "std"}
MANY |= {"logsumexp": "logsumexp", "any": "any", "all": "all", "norm": "norm"}


def _reduced(at: At, function: str) -> Twin:
    x = at.x
    gone = x.axes if at.layer.axes is None else sorted({a % len(x.dims) for a in at.layer.axes})
    axes = tuple(a + 1 for a in gone)
    told = f"dim={axes}" if function == "norm" else f"{axes}"
    if at.layer.keep:
        return text_only(f"{{0}}.{function}({told}, keepdim=True)")
    return text_only(f"{{0}}.{function}({told})" + (".unsqueeze(1)" if len(gone) == len(x.dims) else ""))


@twin("reduce")
def reduce(at: At) -> Twin:
    """
    Raises:
        Unsupported: an operation that PyTorch has over one axis only.
    """
    if at.layer.op in MANY:
        return _reduced(at, MANY[at.layer.op])
    axes = at.x.axes if at.layer.axes is None else {a % len(at.x.dims) for a in at.layer.axes}
    if len(axes) != 1:
        raise Unsupported(f"reduce {at.layer.op} over several axes cannot be built", fix="one axis after another")
    (axis,) = axes
    alone = "" if at.layer.keep or len(at.x.dims) > 1 else ".unsqueeze(1)"
    return text_only(f"{{0}}.{at.layer.op}({axis + 1}{', keepdim=True' * at.layer.keep}){alone}")


@measuring("reduce")
def mean(at: At) -> Twin:
    return _reduced(at, "mean")


@twin("constant")
def constant(at: At) -> Twin:
    """
    Raises:
        Unsupported: always; only its shape is known.
    """
    raise Unsupported("a constant cannot be built", why="its values are not kept", fix=KEEP)


@measuring("constant")
def zeros(at: At) -> Twin:
    """``{0}`` is the network's first input, for its batch size."""
    return text_only(f"{{0}}.new_zeros({{0}}.shape[0], {', '.join(map(str, at.y.dims))})")


@twin("attention_product")
def attention_product(at: At) -> Twin:
    mask = ", attn_mask={3}" if len(at.xs) > 3 else ""
    if at.layer.mask is not None:
        kept = _kept(at)
        mask = f", attn_mask={{3}}.masked_fill(~{kept}, float('-inf'))" if mask else f", attn_mask={kept}"
    learned = None
    if at.layer.offsets is not None:
        first, last, heads = at.layer.offsets
        learned = Learned((heads, last - first + 1), std=0.02)
        bias = f"by_offset({{w}}, {first}, {at.xs[0].dims[-2]}, {at.xs[1].dims[-2]})"
        if at.layer.mask is not None:
            bias += f".masked_fill(~{_kept(at)}, float('-inf'))"
        mask = f", attn_mask={bias}" if len(at.xs) == 3 else f", attn_mask={{3}} + {bias}"
    scale = "" if at.layer.scale is None else f", scale={at.layer.scale!r}"
    return Twin(None, f"F.scaled_dot_product_attention({{0}}, {{1}}, {{2}}{mask}{scale})", learned)


@measuring("attention_product")
def read(at: At) -> Twin:
    """The sum of what it reads: a query, all keys, a feature of all values, a row of the bias."""
    if at.layer.mask is not None:
        rows = f"{_kept(at)}.to({{1}}.dtype)"
        parts = [
            f"({{0}} * {_kept(at)}.any(-1, keepdim=True)).mean(-1, keepdim=True)",
            f"{rows} @ {{1}}.mean(-1, keepdim=True)",
            f"{rows} @ {{2}}",
        ]
        parts += [f"({{3}} * {_kept(at)}).mean(-1, keepdim=True)"] * (len(at.xs) - 3)
        return text_only(coupled(at, f"({' + '.join(parts)})"))
    parts = ["{0}.mean(-1, keepdim=True)", "{1}.mean((-2, -1), keepdim=True)", "{2}.mean(-2, keepdim=True)"]
    parts += ["{3}.mean(-1, keepdim=True)"] * (len(at.xs) - 3)
    return text_only(coupled(at, f"({' + '.join(parts)})"))


def _kept(at: At) -> str:
    return kept_keys(at.layer.mask, (*at.xs[0].dims[:-1], at.xs[1].dims[-2]))


def _along(at: At) -> int:
    return int(at.layer.axis % len(at.x.dims)) + 1


@twin("along")
def along(at: At) -> Twin:
    """
    Raises:
        Unsupported: a transform, of which only what it reads is known.
    """
    if at.layer.function == "transform":
        raise Unsupported(
            "a transform cannot be built", why="the numbers that it multiplies with are not kept", fix=KEEP
        )
    layer, kept = at.layer, "" if at.layer.keep is None else f"{at.layer.keep}, "
    text = f"{{0}}.{layer.function}({kept}{_along(at)})"
    return text_only(text if layer.function in ("cumsum", "cumprod", "logcumsumexp", "argsort") else f"{text}[0]")


@measuring("along")
def running(at: At) -> Twin:
    """The sum of what comes before, or each value with the mean of all."""
    axis, keep = _along(at), at.layer.keep
    if at.layer.function.startswith(("cum", "logcum")):
        return text_only(f"{{0}}.cumsum({axis})")
    text = f"({{0}} + {{0}}.mean({axis}, keepdim=True))"
    return text_only(text if keep is None else f"{text}.narrow({axis}, 0, {keep})")
