"""A plan of tiles, run: whole and in tiles, in whole numbers, so that equality is exact.

Default weights hide errors: what lies far away is below the noise of floats. Here every weight is a positive whole
number, and what each function gives is reduced modulo 251 (which changes nothing about what depends on what): all
values are exact in float64, and equal means ``==``. Smooth functions have stand-ins, which are named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError, plural, require_installed

if TYPE_CHECKING:
    from rfcalc.plan.passes import PassPlan
    from rfcalc.plan.tile import Tile, TilePlan

REST = 251
MOST_VALUES = 1 << 28
MOST_IMAGES = 6  # that are tried for a value that differs with one align less
# Functions whose values are no whole numbers; as element-wise stand-ins they leave the value as it is.
SMOOTH = ["silu", "gelu", "sigmoid", "tanh", "softplus", "elu", "selu", "celu", "mish", "hardswish", "hardsigmoid"]
SMOOTH += ["logsigmoid", "softsign", "exp", "log", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "erf", "hardtanh"]
SMOOTH += ["relu6", "leaky_relu", "rrelu", "prelu", "pow", "square"]
MEANS = (
    "avg_pool",
    "interpolate",
    "upsample",
    "mean",
    "div",
    "grid_sample",
    "group_norm",
    "instance_norm",
    "std",
    "var",
)  # their values may be fractions
OVER = ("softmax", "log_softmax")  # along an axis: the value and the sum along it


def verified_run(plan: TilePlan | PassPlan, target: str) -> dict[str, Any]:
    """Run code that the command line names in tiles and whole.

    Raises:
        RfcalcError: it is no torch module, or gives something else than was planned.
    """
    require_installed("torch")
    from rfcalc.readers.user_code import from_module, from_script, made

    path, sign, name = target.partition(".py:")
    if not sign and not target.startswith("py:"):
        raise RfcalcError(f"--run {target!r} names no code", fix="write --run model.py:Net")
    holder, reference = from_module(target) if target.startswith("py:") else from_script(f"{path}.py", name)
    module = made(holder, reference, target, light=False)
    from rfcalc.plan.passes import PassPlan

    return verified_passes(plan, module) if isinstance(plan, PassPlan) else verified(plan, module)


def verified(plan: TilePlan, module: Any) -> dict[str, Any]:
    """Whether a module's tiles, put together, equal its whole output; and whether one align less fails.

    Returns:
        `passed`, `values` compared, `differing`, `less` (by axis and side: whether a tile with one align less differs;
        None where no tile of the plan has a halo there), `stand_ins`, and all of it in `sentences`.

    Raises:
        RfcalcError: it is no torch module, or the image is too large to be run whole.
    """
    import torch

    from rfcalc.readers.rereading import as_called

    if not isinstance(module, torch.nn.Module):
        raise RfcalcError(f"{type(module).__name__} is no torch module", fix="name one: --run model.py:Net")
    if any(int(s.values) > MOST_VALUES for s in plan.walked.shapes):
        raise RfcalcError("the image is too large to be run whole", fix="verify with a smaller --input")
    run, stand_ins = exact(module, tuple(plan.network.inputs))
    names = plan.network.outputs
    from rfcalc.plan.run import named

    def drawn(seed: int) -> Any:
        pick = torch.Generator().manual_seed(seed)
        sources = {
            name: torch.randint(0, REST, tuple(map(int, x.dims)), generator=pick).double()
            for name, x in zip(plan.network.inputs, as_called(plan.source, plan.inputs), strict=True)
        }
        return sources if len(sources) > 1 else next(iter(sources.values()))

    source = drawn(0)
    whole = named(run(source), list(names))
    tiled = named(plan.run(run, source), list(names))
    differing = sum(int((whole[name] != tiled[name]).sum()) for name in names)
    values = sum(int(whole[name].numel()) for name in names)
    less = _less(plan, run, source, whole)
    for seed in range(1, MOST_IMAGES):  # a largest value, of a few units, may lie elsewhere by chance
        if False not in less.values():
            break
        other = drawn(seed)
        again = _less(plan, run, other, named(run(other), list(names)))
        less = {side: bad or again[side] for side, bad in less.items()}
    passed = differing == 0 and False not in less.values()
    told = "equal" if differing == 0 else f"differ in {differing:,} of"
    sentences = [f"{plural(plan.count, 'tile')} and the whole {told} {values:,} values."]
    sentences += [
        f"One align less {side}: {'differs, as it must' if bad else 'no value differs'}." for side, bad in less.items()
    ]
    sentences += [f"Stand-ins for {', '.join(sorted(stand_ins))}."] if stand_ins else []
    return {
        "passed": passed,
        "values": values,
        "differing": differing,
        "less": less,
        "stand_ins": sorted(stand_ins),
        "sentences": sentences,
    }


def verified_passes(plan: PassPlan, module: Any) -> dict[str, Any]:
    """Whether a module in passes over tiles equals its whole output: in whole numbers by ``==`` (against one tile,
    whose statistics are those of the whole), and with its own weights in float64, against its own run.

    Returns:
        As `verified`; `error` is the largest difference in float64, as a share of the largest value.

    Raises:
        RfcalcError: as `verified`.
    """
    from copy import deepcopy

    import torch

    from rfcalc.backend.passes import in_passes

    if not isinstance(module, torch.nn.Module):
        raise RfcalcError(f"{type(module).__name__} is no torch module", fix="name one: --run model.py:Net")
    if any(int(s.values) > MOST_VALUES for s in plan.report.shapes):
        raise RfcalcError("the image is too large to be run whole", fix="verify with a smaller --input")
    pick = torch.Generator().manual_seed(0)
    sources = {
        name: torch.randint(0, REST, (1, *map(int, x.dims)), generator=pick).double()
        for name, x in zip(plan.network.inputs, plan.inputs, strict=True)
    }
    source: Any = sources if len(sources) > 1 else next(iter(sources.values()))

    def listed(found: Any) -> list[Any]:
        return list(found.values()) if isinstance(found, dict) else [found]

    ready, used = exact_module(module)
    function = in_passes(ready)
    whole = listed(plan.in_one_tile().run(function, source))
    tiled = listed(plan.run(function, source))
    differing = sum(int((a != b).sum()) for a, b in zip(whole, tiled, strict=True))
    values = sum(int(a.numel()) for a in whole)
    less: dict[str, bool | None] = {}
    if plan.last is not None:
        knowing = function.knowing(plan, plan.gather(function, source))
        less = _less(plan.last, knowing, source, dict(zip(plan.network.outputs, whole, strict=True)))
    own = deepcopy(module).double().eval()
    with torch.no_grad():
        real = own(*sources.values())
    real = list(real.values()) if isinstance(real, dict) else list(real) if isinstance(real, (tuple, list)) else [real]
    mine = listed(plan.run(in_passes(own), source))
    error = max(float((a - b).abs().max() / a.abs().max().clamp_min(1e-300)) for a, b in zip(real, mine, strict=True))
    told = "equal" if differing == 0 else f"differ in {differing:,} of"
    ran = f"{plural(plan.count, 'tile')} in {plural(len(plan.plans), 'pass', 'passes')}"
    sentences = [f"{ran} and the whole {told} {values:,} values."]
    sentences += [
        f"One align less {side}: {'differs, as it must' if bad else 'no value differs'}." for side, bad in less.items()
    ]
    sentences.append(f"With its own weights in float64 the largest difference is {error:.1e} of the largest value.")
    sentences += [f"Stand-ins for {', '.join(sorted(used))}."] if used else []
    return {
        "passed": differing == 0 and False not in less.values() and error < 1e-9,
        "values": values,
        "differing": differing,
        "less": less,
        "error": error,
        "stand_ins": sorted(used),
        "sentences": sentences,
    }


def exact(module: Any, inputs: tuple[str, ...]) -> tuple[Callable[[Any], Any], set[str]]:
    """A copy of a module that computes in whole numbers, and the functions that have stand-ins (after it has run)."""
    import torch

    ready, used = exact_module(module)

    def run(source: Any) -> Any:
        given = [source[n][None] for n in inputs] if isinstance(source, dict) else [source[None]]
        with torch.no_grad():
            result = ready(*given)
        if isinstance(result, dict):
            return {name: y[0] for name, y in result.items()}
        return tuple(y[0] for y in result) if isinstance(result, (tuple, list)) else result[0]

    return run, used


def exact_module(module: Any) -> tuple[Any, set[str]]:
    """The same as a module."""
    from copy import deepcopy

    import torch
    from torch.overrides import TorchFunctionMode

    pick = torch.Generator().manual_seed(1)
    module = deepcopy(module).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randint(1, 5, p.shape, generator=pick).double())
        for part in module.modules():
            if isinstance(getattr(part, "running_var", None), torch.Tensor):
                part.running_mean.zero_()
                part.running_var.fill_(1.0)
                part.eps = 0.0
    used: set[str] = set()

    class Whole(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = getattr(function, "__name__", "").strip("_")
            kwargs = kwargs or {}
            if args and isinstance(args[0], torch.Tensor) and args[0].is_floating_point():
                plain = name.removesuffix("_")
                if plain in SMOOTH:
                    used.add(plain)
                    return args[0] * 2 + 1
                if plain in OVER:
                    used.add(plain)
                    axis = kwargs.get("dim", args[1] if len(args) > 1 else 1)
                    return torch.remainder(args[0] + args[0].sum(axis, keepdim=True), REST)
            result = function(*args, **kwargs)
            return _reduced(torch, result, 16 if any(word in name for word in MEANS) else 1)

    class Exact(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *given: Any) -> Any:
            with Whole():
                return self.module(*given)

    return Exact().eval(), used


def _reduced(torch: Any, result: Any, scale: int) -> Any:
    """Floats as whole numbers below 251, which data that is only moved keeps; of a mean, with four binary digits."""
    if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
        reduced = torch.remainder(torch.floor(result * scale + 0.5), REST)
        if not bool(torch.isfinite(reduced).all()):
            raise RfcalcError("a value is not finite", why="the check runs in whole numbers", fix="report it")
        return reduced
    if isinstance(result, (tuple, list)) and not hasattr(result, "_fields"):
        return type(result)(_reduced(torch, r, scale) for r in result)
    return result


def _less(plan: TilePlan, run: Callable[[Any], Any], source: Any, whole: dict[str, Any]) -> dict[str, bool | None]:
    """For each axis and side whether some tile that reads one align less gives other values."""
    from rfcalc.plan.run import OneTile

    sources = source if isinstance(source, dict) else {next(iter(plan.network.inputs)): source}
    work = OneTile(plan, run, sources)
    found: dict[str, bool | None] = {}
    for axis, line in enumerate(plan.lines):
        for side in (0, 1):
            key = f"{'before' if side == 0 else 'after'} on axis {axis}"
            found[key] = None
            for tile in plan.tiles:
                a, b = tile.read[axis]
                if (side == 0 and a <= 0) or (side == 1 and b >= line.size):
                    continue
                for end in range(
                    b if side == 0 else b - 1, max(a, b - line.modulus - line.align) if side else b - 1, -1
                ):
                    start = a + line.align if side == 0 else a
                    if end <= start or line.lengths(end - start) is None or not line.alike(end - start):
                        continue
                    found[key] = bool(found[key]) or _differs(plan, work, tile, axis, (start, end), whole)
                    break
                if found[key]:
                    break
    return {key: bad for key, bad in found.items() if bad is not None}


def _differs(plan: TilePlan, work: Any, tile: Tile, axis: int, read: tuple[int, int], whole: dict[str, Any]) -> bool:
    """Whether a tile that reads another range of one axis lacks or changes a value that it writes."""
    from rfcalc.plan.arrays import slices
    from rfcalc.plan.run import Job, lengths_of

    line = plan.lines[axis]
    crop = {}
    for i, name in enumerate(plan.network.outputs):
        moved = int((read[0] - tile.read[axis][0]) * line.view.densities[line.outputs[i]])
        a, b = tile.crop[name][axis]
        lengths = line.lengths(read[1] - read[0])
        assert lengths is not None
        if a - moved < 0 or b - moved > (lengths[line.outputs[i]] or 0):
            return True  # it does not even have the position
        crop[name] = (*tile.crop[name][:axis], (a - moved, b - moved), *tile.crop[name][axis + 1 :])
    less = tile._replace(read=(*tile.read[:axis], read, *tile.read[axis + 1 :]), crop=crop)
    try:
        results = work(Job(0, less, lengths_of(plan, less))).found
    except (RuntimeError, ValueError):  # the code itself refuses the size, or gives another one
        return True
    return any(
        bool((results[name] != whole[name][slices(tile.write[name], work.outputs[name])]).any()) for name in results
    )
