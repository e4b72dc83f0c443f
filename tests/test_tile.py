"""Exact tiles: tiled equals whole in exact arithmetic on random graphs, the halo is the least, plans and messages."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

import rfcalc
from rfcalc import Conv, Network, RfcalcError
from rfcalc.cli import run as cli
from rfcalc.plan.tools import TOOLS, settings
from rfcalc.report import schemas

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")

from tile_least import Oracle, checked, not_least  # noqa: E402
from tiling import exact, image  # noqa: E402

SCHEMA = schemas.schema("tile")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small convolutions are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_tiles_of_random_graphs() -> None:
    """In whole numbers equal to the whole, and the least."""
    found = checked(range(1200))
    assert found["graphs"] > 400 and found["of these smaller than the axis"] > 2000
    assert all(found[f"graphs of {rank} dimensions"] > 50 for rank in (1, 2, 3))


@pytest.mark.exhaustive
def test_tiles_of_ten_thousand_random_graphs() -> None:
    assert checked(range(1200, 29000))["graphs"] > 10_000


@pytest.mark.parametrize(
    ("text", "size", "read", "write"),
    [
        ("pad by0:2 > conv1-1/2 p0:2 > conv2-1 d2 p1", 14, (10, 13), (6, 9)),  # strides beyond a border's padding
        ("conv2-1/3 SAME reflect", 40, (0, 8), (0, 3)),  # the whole is padded where this tile is not
        ("conv3-1/2 p0:1 circular", 18, (0, 7), (0, 3)),  # 9 units that do not go round as the image does
        ("conv4-1 d2 p4:3 circular", 11, (2, 11), (6, 9)),
        ("conv5-1/2 SAME > slice axis1 at2:-1 step2 > pad by1:-1", 24, (0, 7), (0, 1)),  # nothing is read
        ("conv3-1/3 p1 reflect > conv1-1 p0:2 reflect", 14, (3, 13), (5, 7)),  # reads only what is reflected
    ],
)
def test_tiles_at_borders(text: str, size: int, read: tuple[int, int], write: tuple[int, int]) -> None:
    plan = rfcalc.tile(text, (1, size))
    (line,) = plan.lines
    part = line.part(write[0] // line.steps()[0], -(-write[1] // line.steps()[0]))
    assert part.write == (write,)
    assert part.read == read and Oracle(line).right(*part.read, part)
    assert not_least(Oracle(line), part, Random(0)) is None


def test_the_second_way_sees_tiles_that_are_wrong_or_too_large() -> None:
    (line,) = rfcalc.tile("conv3-1/2 p1 > conv3-1 > up2 > conv3-1", "1x80").lines
    part, oracle = line.part(10, 20), Oracle(line)
    (a, b) = part.read
    assert oracle.right(a, b, part) and not_least(oracle, part, Random(0)) is None
    assert not oracle.right(a + line.align, b, part) and not oracle.right(a, b - 1, part)
    assert not_least(oracle, part._replace(read=(a - line.align, b)), Random(0)) == (a, b)
    assert not_least(oracle, part._replace(read=(a, b + 1)), Random(0)) == (a, b)


def axis(*given: Any, **named: Any) -> tuple[Any, ...]:
    a = rfcalc.tile(*given, **named).axes[0]
    return a.need, a.halo, a.align


@pytest.mark.parametrize(
    ("text", "shape", "need", "halo", "align"),
    [
        ("unet-padded", "1x1024x1024", (94, 94), (96, 96), 16),
        ("unet", "1x1020x1020", (0, 188), (0, 188), 16),
        ("conv3-4/2 p1 > conv3-4/2 p1", "1x64x64", (3, 0), (4, 0), 4),
        ("conv3-4 p0 > slice axis1 at1:-1 > conv3-4 p1", "1x64", (1, 5), (1, 5), 1),
        ("{conv5-4, avgpool2 > conv1-4 > up2} add", "1x64x64", (2, 2), (2, 2), 2),
        ("slice axis1 at0: step4", "1x64", (0, -3), (0, -3), 4),
        ("conv3-4 > conv3-4 > conv3-16 > pixelshuffle4", "3x64x64", (3, 3), (3, 3), 1),
        ("conv3-4/2 SAME > conv3-8/2 SAME", "3x64x64", (0, 3), (0, 4), 4),
        ("conv3-4 circular > conv5-4 circular", "3x64x64", (3, 3), (3, 3), 1),
        ("conv7-4 reflect", "3x64x64", (3, 3), (3, 3), 1),
        ("wavenet", "256x16000", (3069, 0), (3069, 0), 1),
    ],
)
def test_known_halos(text: str, shape: str, need: Any, halo: Any, align: int) -> None:
    assert axis(text, shape) == (need, halo, align)


def test_three_numbers_are_not_mixed() -> None:
    (a, _) = rfcalc.tile("unet-padded", "1x1024x1024").axes
    assert (a.reach, a.need, a.halo) == ((107, 107), (94, 94), (96, 96))


def test_tiles_cover_the_output_once() -> None:
    networks = [("unet", "1x1020x700"), ("conv3-4/2 p1 > up2 > conv3-4", "1x75x64"), ("fpn-resnet18", "3x512x384")]
    for text, shape in networks:
        plan = rfcalc.tile(text, shape, tiles="3x2")
        for i, name in enumerate(plan.network.outputs):
            y = plan.walked.shapes[plan.lines[0].outputs[i]].spatial
            for k in range(2):
                writes = sorted({t.write[name][k] for t in plan.tiles})
                ends = [0, *(b for _, b in writes if b)]
                assert [a for a, b in writes if a < b] == [e for e in ends if e < y[k]] and ends[-1] == y[k]
        for t in plan.tiles:
            for name in t.write:
                for (a, b), (c, d) in zip(t.write[name], t.crop[name], strict=True):
                    assert b - a == d - c


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("conv3-4 circular > conv5-4/2 circular > conv3-4 circular", "1x24x32"),
        ("conv3-4/2 SAME > conv5-4/2 SAME > conv3-2", "1x37x64"),
        ("conv3-4/2 p1 > maxpool3/2 p1 ceil > conv3-2", "1x45x50"),
        ("conv3-4 reflect > conv7-4 reflect > convT4-2/2 p1", "1x30x31"),
        ("conv3-4 > conv3-4 > conv3-16 > pixelshuffle4", "1x20x30"),
        ("{conv5-4, avgpool2 > conv1-4 > up2 linear} add > conv3-4", "1x44x44"),
    ],
)
def test_borders_and_roundings(text: str, shape: str) -> None:
    plan = rfcalc.tile(text, shape, tiles="3x2")
    assert plan.status == "exact" and plan.count == 6
    run, x = exact(plan.network), image(plan.inputs[0])
    assert torch.equal(plan.run(run, x), run(x))


def test_networks_of_the_literature() -> None:
    """Small versions of published networks, several outputs among them, run in tiles and whole."""
    from rfcalc.zoo.unet import build

    for name, shape in [("unet-padded", "1x144x160"), ("unet", "1x236x220")]:
        plan = rfcalc.tile(build(name, width=2), shape, tiles="2x2")
        run, x = exact(plan.network), image(plan.inputs[0])
        assert torch.equal(plan.run(run, x), run(x)), name


def test_several_outputs() -> None:
    a, b = Conv(4, 3, stride=2, padding=1).named("a"), Conv(2, 3, stride=2, padding=1).named("b")
    both = Network(Conv(4, 3, padding=1) >> a >> b, "1x48x40", outputs=("a", "b"))
    plan = rfcalc.tile(both, tiles="3x2")
    module = rfcalc.to_torch(both).double().eval()
    for p in module.parameters():
        p.data = torch.randint(1, 4, p.shape).double()
    x = image(plan.inputs[0])

    def run(t: Any) -> Any:
        with torch.no_grad():
            found = module(t[None])
        return {name: y[0] for name, y in zip("ab", found.values() if isinstance(found, dict) else found, strict=True)}

    whole, tiled = run(x), plan.run(run, x)
    assert all(torch.equal(whole[n], tiled[n]) for n in "ab")
    jsonschema.validate(plan.to_dict(), SCHEMA)


def test_numpy_memmap_and_progress(tmp_path: Path) -> None:
    plan = rfcalc.tile("conv3-1 > maxpool2", "1x40x30", tile=16)
    network = exact(plan.network)

    def run(t: Any) -> Any:
        return network(torch.from_numpy(numpy.ascontiguousarray(t))).numpy()

    source = numpy.memmap(tmp_path / "in", "float64", "w+", shape=(1, 40, 30))
    source[:] = numpy.arange(1200).reshape(1, 40, 30) % 251
    out = numpy.memmap(tmp_path / "out", "float64", "w+", shape=(1, 20, 15))
    seen: list[tuple[int, int]] = []
    assert plan.run(run, source, out=out, progress=lambda done, of: seen.append((done, of))) is out
    assert (out == run(source)).all() and seen[-1] == (plan.count, plan.count) and len(seen) == plan.count
    assert (plan.run(run, source) == out).all()  # made like the function's result
    assert (plan.run(run, source, map=lambda f, jobs: map(f, reversed(jobs))) == out).all()  # in any order


@pytest.mark.exhaustive
def test_images_that_are_larger_than_memory(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    script = Path(__file__).parent / "larger_than_memory.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("equal") == 2


def test_at_a_node_and_pruning() -> None:
    plan = rfcalc.tile("resnet18", "3x256x256", at="layer2.1.add", tiles="2x2")
    assert plan.status == "exact" and plan.network.outputs == ("layer2.1.add",)
    assert all(not n.name.startswith("layer3") for n in plan.network.nodes)


def test_memory_chooses_the_cheapest() -> None:
    plan = rfcalc.tile("unet-padded", "1x1024x1024", memory="300MB")
    whole, tile = plan.peak_bytes
    assert tile <= 300_000_000 < whole
    for tiles in ("1x2", "2x2", "2x3", "3x3", "1x4", "4x1"):
        other = rfcalc.tile("unet-padded", "1x1024x1024", tiles=tiles)
        assert other.peak_bytes[1] > 300_000_000 or other.macs[1] >= plan.macs[1]
    assert rfcalc.tile("unet-padded", "1x256x256", memory="2GB").count == 1


def test_costs_are_those_of_the_tiles() -> None:
    plan = rfcalc.tile("conv3-4 > conv3-4", "3x64x64", tiles="2x2")
    each = [rfcalc.analyze("conv3-4 > conv3-4", (3, *(b - a for a, b in t.read))).totals for t in plan.tiles]
    assert plan.macs == (rfcalc.analyze("conv3-4 > conv3-4", "3x64x64").totals.macs, sum(t.macs for t in each))
    assert plan.peak_bytes[1] == max(t.peak_bytes for t in each)


@pytest.mark.parametrize(
    ("text", "node", "word"),
    [
        ("conv3-4 > gn2 > conv3-4", "groupnorm1", "reads all 64"),
        ("conv3-4 > in > conv3-4", "instancenorm1", "reads all 64"),
        ("conv3-4 > adaptiveavgpool8 > conv3-4", "adaptiveavgpool1", "size of the whole"),
        ("conv3-4 > positions > conv3-4", "positiontable1", "size"),
        ("conv3-4 > resize100x100 linear", "upsample1", "size of the whole"),
        ("conv3-4 > roll by3", "roll1", "tied"),
        ("{conv3-4, parameter4x64x64} add", "add1", "constant"),
        ("conv3-4 reflect > conv3-4 circular", "conv2", "circular"),
        ("conv3-4 > globalavgpool > fc10", "", "reads all"),
    ],
)
def test_barriers(text: str, node: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = rfcalc.tile(text, "3x64x64")
    assert plan.status == "barrier" and word in plan.barriers[0].why, plan.barriers
    jsonschema.validate(plan.to_dict(), SCHEMA)
    assert cli(["tile", text, "--input", "3x64x64"]) == 1
    assert plan.barriers[0].node in capsys.readouterr().out


def test_other_tools() -> None:
    plan = rfcalc.tile("unet-padded", "1x1024x1024", tile=512)
    assert settings(plan, "careamics")["tile_overlap"] == [192, 192]
    assert settings(plan, "real-esrgan")["tile_pad"] == 96
    told = settings(plan, "bioimageio")
    assert told["inputs"][0] == {"id": "y", "size": {"min": 208, "step": 16}}
    (axes,) = told["outputs"].values()
    assert axes[1] == {"id": "x", "size": {"tensor_id": "input", "axis_id": "x"}, "scale": 1, "halo": 96}
    assert not settings(plan, "monai")["exact"]
    for tile in (400, 512, (400, 512), (336, 700)):  # MONAI's step; nnU-Net's, which is one for all axes
        other = rfcalc.tile("unet-padded", "1x1024x1024", tile=tile)
        told, step = settings(other, "monai"), settings(other, "nnunet")["tile_step_size"]
        writes = [r - 2 * (96 if w < 1024 else 0) for r, w in zip(told["roi_size"], told["roi_size"], strict=True)]
        steps = [int(r * (1 - s)) for r, s in zip(told["roi_size"], told["overlap"], strict=True)]
        assert steps == writes and all(r * step <= w for r, w in zip(told["roi_size"], writes, strict=True))
    for tool in TOOLS:
        assert settings(plan, tool)


def test_other_tools_with_a_network_that_is_not_padded() -> None:
    plan = rfcalc.tile("unet", "1x1084x1084", tile=572)
    told = settings(plan, "otbtf")
    assert (told["source1.rfieldx"], told["output.efieldx"], told["inference_cropping"]) == (492, 304, 2)
    assert rfcalc.analyze("unet", "1x492x492").outputs[0].shape.spatial == (308, 308)  # a size that it takes
    for tool in set(TOOLS) - {"otbtf"}:
        assert "a tile of 492 gives 308 positions" in settings(plan, tool)["note"], tool


def test_bad_input() -> None:
    for named, word in [
        ({"tile": 2048}, "larger than the image"),
        ({"tile": 100}, "too small"),
        ({"tile": "256x256x256"}, "3 numbers"),
        ({"tiles": "100x1"}, "cannot be cut"),
        ({"memory": "1kB"}, "no tile fits"),
        ({"memory": "much"}, "no memory"),
        ({"tile": 256, "tiles": "2x2"}, "given together"),
        ({"at": "conv99"}, "unknown node"),
    ]:
        with pytest.raises(RfcalcError, match=word):
            rfcalc.tile("unet-padded", "1x1024x1024", **named)
    assert cli(["tile", "unet-padded", "--axis", "9"]) == 2
    assert cli(["tile", "unet-padded", "--passes", "--axis", "9"]) == 2
    assert cli(["tile", "conv3-4", "--input", "1x32x32", "--check-overlap", "nan"]) == 2
    with pytest.raises(RfcalcError, match="too many") as caught:
        rfcalc.tile("conv3-4", "1x1000000000x32", tile=8)
    assert "100,000 on an axis" in str(caught.value)
    with pytest.raises(RfcalcError, match="no memory") as refused:
        rfcalc.tile("conv3-4", "1x32x32", memory="lots")
    assert "--memory 24GB" in str(refused.value)
    assert cli(["tile", "unet-padded", "--as", "excel"]) == 2
    assert cli(["tile", "conv3-4", "--input", "1x32x32", "--check-overlap", "-4"]) == 2


def test_arrays_of_the_wrong_shape() -> None:
    plan = rfcalc.tile("conv3-2", "1x32x32", tiles="2x2")
    x = numpy.zeros((1, 32, 32))
    out = numpy.full((2, 32, 32), 7.0)

    def run(t: Any) -> Any:
        return numpy.concatenate([t, t])

    with pytest.raises(RfcalcError, match="source of input has the shape"):
        plan.run(run, x[:, :31], out)
    with pytest.raises(RfcalcError, match="out of conv1 has the shape"):
        plan.run(run, x, out[:, :31])
    with pytest.raises(RfcalcError, match="other channels"):
        plan.run(run, x, numpy.full((3, 32, 32), 7.0))
    with pytest.raises(RfcalcError, match="the function gives conv1"):
        plan.run(lambda t: run(t)[:, 1:], x, out)
    with pytest.raises(RfcalcError, match="2 arrays"):
        plan.run(lambda t: (t, t), x, out)
    with pytest.raises(RfcalcError, match="holds whole numbers"):
        plan.run(lambda t: run(t) / 2, x, out.astype("int64"))
    assert (out == 7).all()  # nothing was written
    zarr = pytest.importorskip("zarr")
    stored = zarr.full((2, 32, 32), fill_value=7, dtype="i8")
    for function in (lambda t: run(t) / 2, lambda t: run(t)[:, 1:], lambda t: run(t)[:1].astype("int64")):
        with pytest.raises(RfcalcError):
            plan.run(function, x, stored)
    assert (stored[:] == 7).all()


def test_inputs_whose_sizes_do_not_go_together() -> None:
    from rfcalc import Add, parallel, ref

    stem = Conv(2, 3, stride=40, padding=1)
    network = Network(parallel([ref("a") >> stem, ref("b") >> Conv(2, 1)], Add()), {"a": "2x401", "b": "2x11"})
    with pytest.raises(RfcalcError, match="different sizes on axis 0") as caught:
        rfcalc.tile(network)
    assert "a has 401, b has 11" in str(caught.value.why) and "fixed ratio" in str(caught.value.fix)


def test_plans_can_be_sent() -> None:
    plan = rfcalc.tile("conv3-2", "1x32x32", tiles="2x2")
    assert pickle.loads(pickle.dumps(plan)).tiles[1] == plan.tiles[1]


def test_json() -> None:
    plan = rfcalc.tile("unet-padded", "1x256x256", tiles="2x2")
    found = plan.to_dict()
    jsonschema.validate(found, SCHEMA)
    assert found["count"] == 4 == len(found["tiles"]) and found["tiles"][3]["read"] == [[32, 256], [32, 256]]


def test_run_checks_a_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.SiLU(), nn.Conv2d(3, 2, 3, 2, 1))\n"
        "def other():\n"
        "    return nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), nn.SiLU(), nn.Conv2d(3, 2, 3, 2, 1))\n"
    )
    code = str(tmp_path / "net.py")
    assert cli(["tile", f"{code}:net", "-i", "1x32x32", "--tiles", "2x2", "--run", f"{code}:net"]) == 0
    told = capsys.readouterr().out
    assert "the whole equal" in told and "Stand-ins for silu" in told and "differs, as it must" in told
    assert cli(["tile", f"{code}:net", "-i", "1x32x32", "--tiles", "2x2", "--run", f"{code}:other"]) == 1
    assert "differ in" in capsys.readouterr().out


class ToMultiples(torch.nn.Module):
    """Code that pads to multiples of 16 in a branch: tiles of other sizes are padded where the whole is not."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        if h % 16 or w % 16:
            x = torch.nn.functional.pad(x, [0, -w % 16, 0, -h % 16])
        return self.b(self.a(x))


class Resized(ToMultiples):
    """A size that stands in the code as the size of another map."""

    def forward(self, x: Any) -> Any:
        y = torch.nn.functional.avg_pool2d(self.a(x), 2, 2, ceil_mode=True)
        return x + torch.nn.functional.interpolate(self.b(y), size=x.shape[-2:])


@pytest.mark.parametrize(("kind", "shape"), [(ToMultiples, (1, 96, 80)), (Resized, (1, 64, 96))])
def test_code_that_freezes_sizes(kind: Any, shape: Any) -> None:
    from rfcalc.backend.tiling import verified

    module = kind()
    plan = rfcalc.tile(module, shape, tiles="2x3")
    assert plan.status == "exact", plan.barriers
    found = verified(plan, module)
    assert found["passed"] and found["differing"] == 0, found


class OnlyMultiples(ToMultiples):
    """Code that refuses sizes which its layers would take."""

    def forward(self, x: Any) -> Any:
        if any(n % 16 for n in x.shape[-2:]):
            raise ValueError("the size must be divisible by 16")
        return self.b(torch.nn.functional.max_pool2d(self.a(x), 2))


def test_tiles_have_sizes_that_the_code_takes() -> None:
    from rfcalc.backend.tiling import verified

    plan = rfcalc.tile(OnlyMultiples(), (1, 96, 80), tiles="2x2")
    assert all((b - a) % 16 == 0 for tile in plan.tiles for a, b in tile.read)
    assert verified(plan, OnlyMultiples())["passed"]


DASK = Path(__file__).parent.parent / "docs/examples/dask_tiles.py"


def test_dask_from_zarr_to_zarr(tmp_path: Path) -> None:
    pytest.importorskip("dask")
    pytest.importorskip("distributed")
    pytest.importorskip("zarr")
    done = subprocess.run(
        [sys.executable, str(DASK), str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "tiles are equal to the whole" in done.stdout


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("halo", "tile"),
        ("overlap", "tile"),
        ("valid sizes", "sizes"),
        ("divisible by 32", "sizes"),
        ("anchors", "grid"),
    ],
)
def test_words_are_found_in_help(word: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rfcalc.cli import run

    run(["help", *word.split()])
    assert f"Usage: rfcalc {command} " in capsys.readouterr().out


@pytest.mark.parametrize("given", [None, 3.0, "a map"])
def test_a_function_that_gives_no_array(given: object) -> None:
    plan = rfcalc.tile("conv3-1", "1x64x64", tiles="2x2")
    with pytest.raises(RfcalcError, match="gives no array"):
        plan.run(lambda tile: given, torch.zeros(1, 64, 64))
