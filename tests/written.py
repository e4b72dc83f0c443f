"""Random layers of every kind with every parameter, and random expressions of them, for what is written and read."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import strategies as st

import rfcalc
from rfcalc import RfcalcError, Var
from rfcalc.core.expr import Block, Expr, Named, Parallel, Ref, Repeat, Series, Shared, Side, Stage
from rfcalc.layers.general import REDUCTIONS
from rfcalc.layers.pointwise import ACTIVATIONS

SMALL = st.integers(1, 9)
EXPRESSIONS = st.sampled_from([Var("i") + 1, 2 ** Var("i"), (Var("i") % 3 + 2) * 4, 8 // (1 + Var("j")), 7 - Var("j")])
SIZE = st.one_of(SMALL, SMALL, SMALL, EXPRESSIONS)
AXES = st.one_of(SIZE, st.lists(SIZE, min_size=1, max_size=3).map(tuple))
SIGNED = st.integers(-9, 9)
PAIR = st.one_of(st.integers(0, 5), st.tuples(st.integers(0, 5), st.integers(0, 5)))
PADS = st.one_of(
    st.sampled_from(["same", "SAME", "valid", 2 ** Var("i")]), PAIR, st.lists(PAIR, min_size=1, max_size=3)
)
YES = st.booleans()
BORDER = st.sampled_from(["zeros", "reflect", "replicate", "circular"])
ROUNDING = st.sampled_from(["floor", "ceil", "ceil-onnx"])
RATE = st.floats(0, 1)
AXIS = st.one_of(st.none(), st.integers(-4, 4))
BOUND = st.one_of(st.none(), st.integers(-30, 30))
TEXT = st.text(max_size=8)
MASK = st.one_of(
    st.none(), st.just("causal"), st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=4)
)

# the strategies of each kind's parameters, in order
PARAMETERS: dict[str, tuple[st.SearchStrategy, ...]] = {
    "Conv": (SIZE, AXES, AXES, PADS, AXES, st.just(1), YES, BORDER),
    "Depthwise": (AXES, AXES, PADS, AXES, SIZE, YES, BORDER),
    "ConvTranspose": (SIZE, AXES, AXES, PAIR, st.integers(0, 2), st.just(1), YES, AXES),
    "MaxPool": (AXES, st.one_of(st.none(), AXES), PADS, AXES, ROUNDING),
    "MaxUnpool": (AXES, st.one_of(st.none(), AXES), PADS, AXES, ROUNDING),
    "AvgPool": (AXES, st.one_of(st.none(), AXES), PADS, ROUNDING, YES, YES, AXES),
    "LpPool": (SMALL, AXES, st.one_of(st.none(), AXES), ROUNDING),
    "AdaptivePool": (
        st.one_of(SMALL, st.lists(st.one_of(st.none(), SMALL), min_size=1, max_size=3).map(tuple)),
        st.sampled_from(["avg", "max"]),
    ),
    "Mean": (st.one_of(st.none(), st.lists(SIGNED, min_size=1, max_size=3).map(tuple)), YES),
    "Linear": (SIZE, YES, st.one_of(st.none(), SIZE)),
    "RBF": (SIZE, YES),
    "Recurrent": (st.sampled_from(["lstm", "gru", "rnn"]), SIZE, YES, YES),
    "Activation": (st.sampled_from(sorted(ACTIVATIONS)),),
    "PReLU": (YES,),
    "Softmax": (AXIS, YES, MASK),
    "GLU": (),
    "Dropout": (RATE,),
    "StochasticDepth": (RATE,),
    "Scale": (YES,),
    "Identity": (),
    "BatchNorm": (YES, YES, YES, YES, YES),
    "LayerNorm": (st.one_of(SMALL, st.sampled_from(["channels", "all"])), YES, YES, YES),
    "GroupNorm": (SIZE, YES, YES, YES),
    "InstanceNorm": (YES, YES),
    "RMSNorm": (YES,),
    "LRN": (SIZE,),
    "Add": (),
    "Multiply": (),
    "Concat": (AXIS,),
    "MatMul": (YES, MASK),
    "Flatten": (st.integers(-4, 4), st.integers(-4, 4)),
    "Reshape": (st.lists(st.one_of(st.just(-1), SMALL), min_size=1, max_size=4), st.integers(0, 3)),
    "Permute": (st.permutations([0, 1, 2]).map(tuple),),
    "ClassToken": (SIZE,),
    "PositionTable": (),
    "Parameter": (st.lists(SMALL, min_size=1, max_size=3).map(tuple), st.integers(0, 2)),
    "Constant": (st.lists(SMALL, min_size=1, max_size=3).map(tuple), st.integers(0, 2)),
    "Elementwise": (
        st.sampled_from(["sub", "aten.div", "x2", "_a"]),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2).map(tuple),
    ),
    "Reduce": (
        st.sampled_from(sorted(REDUCTIONS)),
        st.one_of(st.none(), st.lists(SIGNED, min_size=1, max_size=3).map(tuple)),
        YES,
    ),
    "AttentionProduct": (MASK,),
    "Along": (st.sampled_from(["cumsum", "cumprod", "cummax", "sort"]), st.integers(-3, 3)),
    "Slice": (st.integers(-3, 3), BOUND, BOUND, SMALL),
    "Gather": (st.integers(-3, 3), st.none() | st.lists(st.integers(0, 9), min_size=1, max_size=6).map(tuple)),
    "IndexSum": (st.integers(-3, 3), st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=4)),
    "Split": (st.one_of(SMALL, st.lists(SMALL, min_size=1, max_size=3).map(tuple)), st.integers(0, 3), AXIS),
    "ChannelShuffle": (SIZE,),
    "Roll": (st.one_of(SIGNED, st.lists(SIGNED, min_size=1, max_size=3).map(tuple)),),
    "WindowPartition": (AXES,),
    "Pad": (
        st.one_of(SIGNED, st.lists(st.tuples(SIGNED, SIGNED), min_size=1, max_size=3)),
        st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    ),
    "Upsample": (
        st.none(),
        AXES,
        st.sampled_from(["nearest", "nearest-exact", "bilinear", "cubic"]),
        YES,
    ),
    "PixelShuffle": (SIZE,),
    "PixelUnshuffle": (SIZE,),
    "SelfAttention": (SIZE, YES, YES),
    "WindowAttention": (SIZE, AXES, st.integers(0, 2), YES, YES, YES, YES, st.integers(0, 5)),
    "Unknown": (st.lists(SMALL, min_size=1, max_size=3).map(tuple), st.one_of(st.just("unknown"), TEXT)),
}
TABLES = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=4)


@st.composite
def layers(draw: st.DrawFn, kind: str | None = None) -> rfcalc.Expr:
    """A layer of a kind (or of any), as its parameters allow."""
    name = kind or draw(st.sampled_from(sorted(PARAMETERS)))
    while True:
        given_ = [draw(s) for s in PARAMETERS[name]]
        try:
            if name == "Conv" and draw(st.integers(0, 9)) == 0:
                table = draw(TABLES)
                return rfcalc.Conv(
                    len(table),
                    given_[1],
                    **dict(zip(("stride", "padding", "dilation", "groups"), given_[2:6], strict=True)),
                    bias=given_[6],
                    border=given_[7],
                    table=table,
                )
            if name == "Upsample" and draw(YES):
                given_[:2] = reversed(given_[:2])
            kind = getattr(rfcalc, name)
            return kind(**dict(zip([f.name for f in fields(kind) if f.init], given_, strict=False)))
        except (RfcalcError, TypeError):
            continue


LABELS = st.one_of(
    st.sampled_from(
        ["conv1", "3a", "block 1", "layer1.0", "x2", 'a"b\\c', "é", "side", "a-b/c", "line\nbreak", "conv3-8"]
    ),
    st.text(min_size=1, max_size=5).filter(lambda t: t.strip()),
)
MERGES = st.one_of(
    st.sampled_from([rfcalc.Concat(), rfcalc.Add(), rfcalc.Multiply()]),
    st.sampled_from([rfcalc.Concat(1), rfcalc.MatMul(), rfcalc.MatMul(transpose=True), rfcalc.Unknown((3, 4), "x y")]),
)
COUNTS = st.one_of(st.integers(1, 4), st.just(Var("i") + 1))


def expressions(leaves: st.SearchStrategy[Expr] | None = None) -> st.SearchStrategy[Expr]:
    """Any expression: valid as a tree, not always as a network."""

    def deeper(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        several = st.lists(inner, max_size=5).map(tuple)
        return st.one_of(
            several.map(Series),
            several.map(Series),
            st.builds(Parallel, several, MERGES),
            st.builds(Parallel, several, MERGES),
            st.builds(Repeat, inner, COUNTS, st.sampled_from([None, None, "i", "j"])),
            st.builds(Named, inner, LABELS),
            st.builds(Block, inner, LABELS),
            st.builds(Stage, inner, LABELS),
            st.builds(Shared, inner, LABELS),
            st.builds(Side, inner),
        )

    # everything stands in repetitions, so that each index has a range
    tree = st.recursive(st.one_of(layers(), LABELS.map(Ref)) if leaves is None else leaves, deeper, max_leaves=12)
    return tree.map(lambda e: Repeat(Repeat(e, 2, "i"), 3, "j"))
