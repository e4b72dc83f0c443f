"""An overlap that is given: what `judge` counts by dependence is what differs in whole numbers."""

from __future__ import annotations

import ast
import importlib.util
import math
from itertools import product
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError, Shape
from rfcalc.cli import run as cli
from rfcalc.plan import judging
from rfcalc.plan.judging import judge
from rfcalc.plan.tools import settings

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")

from tiling import exact, image, random_network  # noqa: E402


def test_overlaps_are_judged() -> None:
    plan = rfcalc.tile("unet-padded", "1x512x512", tile=384)
    assert judge(plan, 192, 384).exact
    bad = judge(plan, 100, 384)
    assert bad.side == 50 and bad.differing > 0 and "94 are needed" in bad.text
    small = rfcalc.tile("conv3-4 > conv3-4", "1x64x64", tile=16)
    assert judge(small, 4, 16).exact and not judge(small, 2, 16).exact


def test_judged_values_are_those_that_differ() -> None:
    """What may differ, counted by dependence, against a run in whole numbers."""
    network = rfcalc.load("conv5-1 > conv5-1")
    plan = rfcalc.tile(network, "1x60", tile=24)
    run, x = exact(plan.network), image(plan.inputs[0])
    whole, wrong = run(x), set()
    for start in (0, 20, 36):  # an overlap of 4: 2 on each side
        made = run(x[..., start : start + 24])
        first, last = (0 if start == 0 else 2), (24 if start == 36 else 22)
        for u in range(first, last):
            same = bool((made[..., u] == whole[..., start + u]).all())
            wrong = wrong - {start + u} if same else wrong | {start + u}
    assert judge(plan, 4, 24).differing == len(wrong) > 0


def test_an_overlap_in_use_is_measured() -> None:
    from overlaps import Bilinear, differing

    from rfcalc.backend.tiling import exact as whole_numbers

    torch.manual_seed(0)
    run, _ = whole_numbers(Bilinear().eval(), ("x",))
    picture = image(Shape(1, 96, 96))
    assert differing(run, picture, 48, 28, 1)[0] == 0 and differing(run, picture, 48, 24, 1)[0] > 0


def cuts(line: Any, size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """The tiles of an axis as the common tools put them: start, end, and what is kept of the output of each."""
    density, length = line.view.densities[line.outputs[0]], line.view.lengths[line.outputs[0]]
    starts = list(range(0, max(line.size - size, 0) + 1, max(size - overlap, 1)))
    starts += [line.size - size] if starts[-1] + size < line.size else []
    side = overlap // 2
    return [
        (
            a,
            a + size,
            0 if a == 0 else ceil((a + side) * density),
            length if a + size == line.size else min(length, ceil((a + size - side) * density)),
        )
        for a in starts
    ]


def measured(plan: Any, run: Any, x: Any, overlap: int, size: int) -> int:
    """How many values differ if the network really runs on such tiles."""
    whole = run(x)
    got = torch.full_like(whole, -1)
    for tile in product(*[cuts(line, min(size, line.size), overlap) for line in plan.lines]):
        kept = tuple(slice(first, last) for _, _, first, last in tile)
        got[:, *kept] = -1
        try:
            made = run(x[:, *[slice(a, b) for a, b, _, _ in tile]])
        except RuntimeError:
            continue  # the network refuses the size
        origins = [a * line.view.densities[line.outputs[0]] for (a, *_), line in zip(tile, plan.lines, strict=True)]
        if any(o.denominator != 1 for o in origins):
            continue  # positions of the output lie between those of the whole
        from_, to = [], []
        for k, ((_, _, first, last), origin) in enumerate(zip(tile, map(int, origins), strict=True)):
            a, b = max(first, origin), max(min(last, origin + made.shape[1 + k]), first, origin)
            to.append(slice(a, b))
            from_.append(slice(a - origin, b - origin))
        got[:, *to] = made[:, *from_]
    return int((got != whole).sum())


def test_what_is_judged_is_what_differs() -> None:
    """On random graphs: never fewer than differ, and as many but for maxima, which may be the same by chance."""
    torch.set_num_threads(1)
    compared, wrong = 0, 0
    for seed in range(120):
        pick = Random(seed)
        network = random_network(pick, mixed=bool(seed % 2))
        plan = None if network is None else rfcalc.tile(network)
        if network is None or plan is None or plan.barriers or min(line.size for line in plan.lines) < 6:
            continue
        size = pick.randrange(4, max(line.size for line in plan.lines))
        overlap = pick.randrange(size)
        if any(overlap >= min(size, line.size) < line.size for line in plan.lines):
            continue
        found = judge(plan, overlap, size)
        differing = measured(plan, exact(plan.network, seed), image(plan.inputs[0], seed), overlap, size)
        assert differing <= found.differing, (seed, network)
        if not any("pool" in node.layer.kind for node in network.nodes):
            assert differing >= 0.97 * found.differing - 3, (seed, network)  # values below 251 may be alike by chance
        compared += 1
        wrong += differing > 0
    assert compared > 30 and wrong > 20


def kept(laid: Any) -> list[tuple[int, int, int, int]]:
    return [tuple(map(int, tile)) for tile in laid]


def theirs(package: str, file: str, name: str, **known: Any) -> Any:
    """A function of a package, without what the package imports; None where the package is not installed."""
    spec = importlib.util.find_spec(package)
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    path = next((p for root in roots if (p := Path(root) / file).is_file()), None)
    if path is None:
        return None
    tree = ast.parse("from __future__ import annotations\n" + path.read_text(encoding="utf-8"))
    found = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name)
    found.decorator_list = []
    made: dict[str, Any] = {"math": math, "np": numpy, "ceil": math.ceil, "prod": math.prod, **known}
    exec(compile(ast.Module([tree.body[0], found], []), str(path), "exec"), made)
    return made[name]


def careamics(n: int, read: int, overlap: int) -> Any:
    function = theirs("careamics", "dataset/patching/tiled_patching.py", "_compute_1d_coords")
    starts, first, cuts, lengths = function(n, read, overlap)
    assert all(a + c == f for a, c, f in zip(starts, cuts, first, strict=True))
    laid = [(a, min(a + read, n), f, f + m) for a, f, m in zip(starts, first, lengths, strict=True)]
    return [t for t in laid if t[2] < t[3]]


def monai(n: int, read: int, overlap: int) -> Any:
    known: dict[str, Any] = {"get_valid_patch_size": lambda _, p: p, "ensure_tuple_size": lambda t, _: t}
    lay = theirs("monai", "data/utils.py", "dense_patch_slices", first=lambda it: next(iter(it), None), **known)
    step = theirs("monai", "inferers/utils.py", "_get_scan_interval")((n,), (read,), 1, (overlap / read,))
    return [(s.start, s.stop) for (s,) in lay((n,), (read,), step)]


def nnunet(n: int, read: int, overlap: int) -> Any:
    file, name = "inference/sliding_window_prediction.py", "compute_steps_for_sliding_window"
    return theirs("nnunetv2", file, name)((n,), (read,), 1 - overlap / read)[0]


def bioimageio(n: int, read: int, overlap: int) -> Any:
    class Halo:
        create = staticmethod(lambda v: (v, v))

    known = {"Halo": Halo, "SliceInfo": lambda *ends: ends, "_block_meta_generator": lambda *_, **told: told}
    file, half = "core/block_meta.py", overlap // 2
    return theirs("bioimageio", file, "split_shape_into_blocks", **known)({"x": n}, {"x": read}, {"x": half})[1][
        "inner_1d_slices"
    ]["x"]


LAID: dict[str, tuple[Any, Any]] = {
    "careamics": (careamics, lambda n, r, o: [t for t in kept(judging.careamics(n, r, o)) if t[2] < t[3]]),
    "monai": (monai, lambda n, r, o: [t[:2] for t in kept(judging.monai(n, r, o / r))]),
    "nnunetv2": (nnunet, lambda n, r, o: [t[0] for t in kept(judging.nnunet(n, r, 1 - o / r))]),
    "bioimageio": (
        bioimageio,
        lambda n, r, o: [(t[2] - o // 2, t[3] - o // 2) for t in kept(judging.bioimageio(n + o // 2 * 2, r, o // 2))],
    ),
}


@pytest.mark.parametrize("package", LAID)
def test_tiles_lie_as_the_tools_lay_them(package: str) -> None:
    """Against the code of the packages, those that are installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    for seed in range(300):
        pick = Random(seed)
        n = pick.randrange(20, 300)
        read = pick.randrange(8, n + 1)
        overlap = 2 * pick.randrange(max((read - 1) // 2, 1))
        one, other = LAID[package]
        assert one(n, read, overlap) == other(n, read, overlap), (n, read, overlap)


CASES = [
    ("unet-padded", "1x1024x1024", "512x512"),
    ("conv3-4 > maxpool2 > conv3-8 > up2 > conv3-4", "1x96x96", "40x40"),
    ("conv3-4 > conv3-4 > conv3-16 > pixelshuffle4", "1x64x48", "24x24"),
    ("unet", "1x1084x1084", "572x572"),
    ("conv3-4 > conv3-4", "1x64x40", "24x40"),
]


@pytest.mark.parametrize(("text", "shape", "tile"), CASES)
def test_settings_are_exact_where_they_say_so(text: str, shape: str, tile: str) -> None:
    """What `--as` prints, judged by the rule of the tool: exact, and with one align less on each side not."""
    plan = rfcalc.tile(text, shape, tile=tile)
    judged = 0
    for tool in ("careamics", "real-esrgan", "bioimageio", "otbtf"):
        told = settings(plan, tool)
        if told.get("exact") is False:
            continue
        if tool == "careamics":
            size, given = told["tile_size"], max(told["tile_overlap"])
        elif tool == "real-esrgan":
            size, given = told["tile"], told["tile_pad"]
        elif tool == "otbtf":
            size = [told["source1.rfieldy"], told["source1.rfieldx"]]
            given = size[0] - int(told["output.efieldy"] * told.get("output.spcscale", 1))
        else:
            (axes,) = told["outputs"].values()
            size = [a["size"]["min"] + 2 * a["size"]["step"] for a in told["inputs"]]
            given = max(a.get("halo", 0) for a in axes)
            if any(line.size + 2 * given < s for line, s in zip(plan.lines, size, strict=True)):
                continue
        found = judge(plan, given, size, (), tool)
        assert found.exact, (tool, told, found)
        assert 0 < found.values <= judge(plan, 0, size).values
        align = plan.axes[0].align * (2 if tool in ("careamics", "otbtf") else 1)
        if tool == "bioimageio":
            align = int(align * plan.lines[0].view.densities[plan.lines[0].outputs[0]])
        if tool != "otbtf" or text != "unet":
            less = [s - align for s in size] if tool == "otbtf" else size
            assert not judge(plan, given - align, less, (), tool).exact, (tool, told)
        judged += 1
    assert judged >= (1 if text == "unet" else 3)


def test_each_tool_has_its_own_convention() -> None:
    plan = rfcalc.tile("unet-padded", "1x1024x1024", tile=512)
    assert "tile_overlap 64: 32 a side; 94 are needed" in judge(plan, 64, 512, (), "careamics").text
    assert "tile_pad 64: 64 a side" in judge(plan, 64, 320, (), "real-esrgan").text
    assert (
        "halo 96: 96 a side; 94 are needed: every output value is exact" in judge(plan, 96, 512, (), "bioimageio").text
    )
    assert "overlap 0.25: 64 a side" in judge(plan, 0.25, 512, (), "monai").text
    assert "tile_step_size 0.5: 128 a side" in judge(plan, 0.5, 512, (), "nnunet").text
    assert "rfield − efield 192: 96 a side" in judge(plan, 192, 512, (), "otbtf").text
    for tool, overlap, word in [
        ("careamics", 47, "odd"),
        ("monai", 48, "share of the tile"),
        ("nnunet", 0, "share of the tile"),
        ("real-esrgan", 0.25, "no whole number"),
        ("bioimageio", -1, "one side"),
        ("careamics", 512, "leaves nothing"),
    ]:
        with pytest.raises(RfcalcError) as caught:
            judge(plan, overlap, 512, (), tool)
        assert word in str(caught.value), (tool, caught.value)


def test_the_size_of_each_axis_counts() -> None:
    plan = rfcalc.tile("conv3-4 > conv3-4", "1x64x64", tile=16)
    assert judge(plan, 4, (16, 64)).exact and not judge(plan, 2, (64, 16)).exact
    assert judge(plan, 2, (64, 16)).differing == judge(plan, 2, (16, 64)).differing < judge(plan, 2, 16).differing


def test_check_overlap_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["tile", "conv3-4 > conv3-4", "--input", "1x64x64"]
    for more, code, word in [
        (["--tile", "16", "--check-overlap", "4"], 0, "2 a side; 2 are needed: every output value is exact"),
        (["--tile", "16x64", "--check-overlap", "2"], 1, "1 a side; 2 are needed"),
        (["--tile", "16", "--as", "careamics", "--check-overlap", "2"], 1, "tile_overlap 2: 1 a side"),
        (["--tile", "16", "--as", "monai", "--check-overlap", "0.25"], 1, "overlap 0.25: 2 a side"),
        (["--tile", "16", "--as", "monai", "--check-overlap", "48"], 2, "share of the tile"),
        (["--tile", "16", "--check-overlap", "0.5"], 2, "--as monai or nnunet"),
    ]:
        assert cli([*given, *more]) == code
        told = capsys.readouterr()
        assert word in told.out + told.err
