"""A target that is read at several sizes: what was read and heard there, and whether what is told of a size agrees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError, ShapeError, UnknownSize, plural
from rfcalc.core.fitting import fitting
from rfcalc.core.lengths import Watched, watched, watching
from rfcalc.core.shape import Shape
from rfcalc.core.within import in_time
from rfcalc.graph.forward import Shaped, forward
from rfcalc.graph.network import Network
from rfcalc.plan.aligning import Reading, plan
from rfcalc.plan.following import Following
from rfcalc.plan.solving import Weights
from rfcalc.readers.guards import deliberate
from rfcalc.readers.target import resolve


class Known:
    """A target with what was read of it, and what its code asked of lengths then, so that no size is read twice.

    Args:
        sized: whether only sizes are asked.
    """

    def __init__(self, target: Any, sized: bool = False) -> None:
        self.target = target
        self.sized = sized
        self.readings: dict[Any, Reading | RfcalcError] = {}
        self.heard: dict[Any, Watched] = {}
        self.fitted: dict[
            Any, Reading
        ] = {}  # of sizes that only the weights of linear layers refuse: as if they fitted

    def has(self, first: Reading) -> None:
        """Note what was read first, and what was heard then, if its code was watched."""
        sizes, heard = dims_of(first.shapes[: first.network.arity]), getattr(first.network.source, "heard", None)
        if heard is not None:
            self.readings.setdefault(sizes, first)
            self.heard.setdefault(sizes, heard)

    def at(self, network: Network, inputs: Sequence[Shape]) -> Reading | RfcalcError:
        """The reading at some sizes, or why there is none."""
        sizes = dims_of(inputs)
        if sizes not in self.readings:
            with watched(sized=self.sized) as heard, fitting() as unfit:
                try:
                    self.readings[sizes] = found = read(self.target, network, inputs)
                    if unfit.since is not None:
                        self.fitted[sizes] = found
                except UnknownSize as error:
                    raise unknown(called(network), error, inputs) from None
                except RfcalcError as error:
                    self.readings[sizes] = error
            if unfit.since is not None:
                misfit = RfcalcError("the weights of a linear layer are for another number of features")
                misfit.reached = unfit.since
                self.readings[sizes] = misfit
            self.heard[sizes] = heard
        return self.readings[sizes]

    def heard_at(self, network: Network, inputs: Sequence[Shape]) -> Watched:
        """What code asked at some sizes."""
        if dims_of(inputs) not in self.heard:
            self.readings.pop(dims_of(inputs), None)
            self.at(network, inputs)
        return self.heard[dims_of(inputs)]

    def all_heard(self) -> list[Watched]:
        """What code asked at all sizes that were read, and run."""
        return [
            self.heard[sizes] for sizes, r in self.readings.items() if isinstance(r, Reading) and sizes in self.heard
        ]


def dims_of(inputs: Sequence[Shape]) -> tuple[tuple[Any, ...], ...]:
    return tuple(x.dims for x in inputs)


def read(target: Any, network: Any, inputs: Sequence[Shape]) -> Reading:
    """A reading of the target of a network at some sizes.

    Raises:
        RfcalcError: it is refused.
    """
    in_time()
    own = as_called(network.source, inputs)
    given = dict(zip(network.inputs, own, strict=True)) if len(own) > 1 else own[0]
    found = resolve(target, given).network
    if (heard := watching()) is not None and heard.sized:
        hangs_on_values(heard)
    made = forward(found, list(inputs))
    if getattr(network.source, "built", False):
        _same_weights(network, found, made)
    return Reading(found, made.shapes)


def _same_weights(network: Network, found: Network, made: Shaped) -> None:
    """Refuse sizes at which nodes of a configuration would need other parameters than it was built with.

    Raises:
        ShapeError: one does.
    """
    base = [s for s in network.inputs.values() if s is not None]
    nodes = zip(network.nodes, forward(network, base).costs[network.arity :], strict=True)
    held = {node.name: cost.params for node, cost in nodes}
    for node, cost in zip(found.nodes, made.costs[found.arity :], strict=True):
        if held.get(node.name, cost.params) != cost.params:
            raise ShapeError("its parameters fit maps of another size", where=node.name)


def as_called(source: Any, inputs: Sequence[Shape]) -> list[Shape]:
    """The shapes with which code (the `source` of a network) is called: a signal that it takes without channels has
    none."""
    leaves = getattr(getattr(source, "call", None), "leaves", ())
    if len(leaves) != len(inputs):
        return list(inputs)
    return [
        Shape(*x.dims[1:]) if len(leaf.shape) == len(x.dims) and x.dims[0] == 1 else x
        for leaf, x in zip(leaves, inputs, strict=True)
    ]


def predicted(found: Following, inputs: Sequence[Shape], made: Shaped) -> list[Shape] | RfcalcError:
    shapes = list(inputs)
    weights = Weights(found.network, made, found)
    try:
        for position in range(found.network.arity, found.network.arity + len(found.network.nodes)):
            shapes.append(weights.output(position, shapes))
    except RfcalcError as error:
        return error.at(found.network.nodes[len(shapes) - found.network.arity].name)
    return shapes


def ran_past(network: Network, error: RfcalcError, node: str | None) -> bool:
    """Whether code that was refused had run the operator of the node that is told to refuse it."""
    steps = getattr(network.source, "steps", {})
    mine = steps.get(node)
    ran = error.reached is not None and mine is not None and 0 <= mine < error.reached
    module = (error.where or "").partition(" at ")[2]
    inside = bool(module) and (node or "").startswith(f"{module}.")  # the same step of the code: a view, then its sum
    return ran and not inside and not deliberate(error)  # on purpose: told before the code compares it


def stopped_before(network: Network, error: RfcalcError, node: str | None) -> bool:
    """Whether code was stopped at an operator of an earlier node than the one that is told to refuse it: that one was
    told to take what it does not, and what comes later only hides it."""
    steps = getattr(network.source, "steps", {})
    mine, reached = steps.get(node, -1), error.reached
    return reached is not None and mine > min([step for step in steps.values() if step >= reached], default=mine)


def agrees(what: str, found: Following, read: Reading, inputs: Sequence[Shape], made: Shaped) -> None:
    """Refuse rules that predict other outputs than a reading has."""
    shapes = predicted(found, inputs, made)
    size = ", ".join(map(str, inputs))
    if isinstance(shapes, RfcalcError):
        raise untold(
            what, f"the {what} takes {size}, and its layers as they were read do not: {shapes.what}", shapes.where
        )
    if plan(found.network) == plan(read.network):  # else padding that came to nothing is left out, or views differ
        for p, (mine, theirs) in enumerate(zip(shapes, read.shapes, strict=True)):
            if mine.dims != theirs.dims:
                node = found.network.nodes[p - found.network.arity].name
                raise untold(what, f"the {what} gives another map at {size} than its layers as they were read", node)
    if len(found.network.outputs) != len(read.network.outputs):
        count = plural(len(read.network.outputs), "map")
        raise untold(what, f"the {what} gives back {count} at {size}, not as many as elsewhere")
    for name, other in zip(found.network.outputs, read.network.outputs, strict=True):
        if shapes[found.network.position(name)].dims != read.shapes[read.network.position(other)].dims:
            raise untold(what, f"the {what} gives another output at {size} than its layers as they were read", name)


def hangs_on_values(heard: Watched) -> None:
    """Refuse a reading of code that would do something else with other values.

    Raises:
        UnknownSize: it would.
    """
    for lost in heard.lost:
        if lost.why:
            raise UnknownSize("it picks by positions that values say", why=lost.why, where=lost.where)


def untold(what: str, why: str, where: str | None = None) -> RfcalcError:
    mend = {
        "code": "write sizes in the code as expressions of the input's",
        "model": "build it with open sides (None), where sizes are constants in it",
        "text": "read the model itself: file.py:Name",
        "file": "write the file with open (dynamic) axes, where sizes are constants in it",
    }
    fix = f"read it at the size in question with --input; {mend[what]}"
    return RfcalcError(f"the valid sizes cannot be told from the {what}", where=where, why=why, fix=fix)


def unknown(what: str, error: UnknownSize, inputs: Sequence[Shape]) -> RfcalcError:
    size = ", ".join(map(str, inputs))
    return untold(what, f"at {size} {error.what}: {brief(error)}", error.where)


def called(network: Network) -> str:
    """What messages call that which a network was read from."""
    return getattr(network.source, "called", "code")


def brief(error: RfcalcError) -> str:
    return (error.why or error.what).split("\n")[0]
