"""A stream's step as a function of the chunk and the state: exported, traced, and beside the stream itself."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import stream_networks as nets
import test_stream_attention as attention
import torch
from torch import Tensor

import rfcalc
from rfcalc.core.errors import Unsupported

torch.set_num_threads(1)

CASES: dict[str, tuple[Any, str, int]] = {
    "tcn": (nets.tcn, "1x400", 1),
    "hifigan": (nets.HifiGan, "20x40", 2),
    "demucs": (nets.Demucs, "1x1280", 1),
    "gru": (nets.Gru, "1x200", 5),
    "amplifier": (nets.Amplifier, "1x200", 16),
    "snake": (nets.Snake, "1x200", 3),
    "window": (lambda: attention.InTime(attention.CASES["window"][0], True), "8x24", 4),
    "running": (lambda: attention.InTime(attention.Running(), True), "8x24", 4),
}


def made(name: str) -> tuple[Any, Any, int]:
    build, shape, blocks = CASES[name]
    torch.manual_seed(0)
    stream = rfcalc.to_stream(build().double().eval(), shape)
    return stream, stream.step(blocks), blocks


def run(step: Any, state: tuple[Tensor, ...], chunks: list[Tensor]) -> Tensor:
    out = []
    for chunk in chunks:
        made, *state = step(chunk, *state)  # type: ignore[assignment]
        out.append(made)
    return torch.cat(out, -1)


@pytest.mark.parametrize("name", CASES)
def test_steps_give_what_the_stream_gives_behind_zeros(name: str) -> None:
    stream, step, blocks = made(name)
    size = blocks * stream.block["in"]
    shape = [1, *stream.lines[0].shape]
    shape[-1] = size
    chunks = [torch.randn(shape, dtype=torch.float64) for _ in range(6)]
    with torch.no_grad():
        stream.reset()
        assert step.silence % size == 0
        for _ in range(step.silence // size):
            stream(torch.zeros(shape, dtype=torch.float64))
        expected = torch.cat([stream(chunk) for chunk in chunks], -1)
        assert torch.allclose(run(step, step.state, chunks), expected, rtol=1e-9, atol=1e-9)
        wrong = tuple(t + 1 for t in step.state)
        assert not torch.allclose(run(step, wrong, chunks), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["tcn", "demucs", "gru", "window"])
def test_steps_are_exported_and_traced(name: str) -> None:
    stream, step, blocks = made(name)
    shape = [1, *stream.lines[0].shape]
    shape[-1] = blocks * stream.block["in"]
    chunks = [torch.randn(shape, dtype=torch.float64) for _ in range(3)]
    with torch.no_grad():
        expected = run(step, step.state, chunks)
        with warnings.catch_warnings():  # PyTorch's own, of tracing and of its recurrent layers
            warnings.simplefilter("ignore")
            exported = torch.export.export(step, (chunks[0], *step.state)).module()
            traced = torch.jit.trace(step, (chunks[0], *step.state), check_trace=False)
        assert torch.allclose(run(exported, step.state, chunks), expected, rtol=0, atol=1e-12)
        assert torch.allclose(run(traced, step.state, chunks), expected, rtol=0, atol=1e-12)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["tcn", "demucs"])
def test_steps_run_as_onnx(name: str, tmp_path: Any) -> None:
    """The step as an ONNX file, in ONNX's own reference implementation, chunk by chunk with the state handed on."""
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    stream, step, blocks = made(name)
    shape = [1, *stream.lines[0].shape]
    shape[-1] = blocks * stream.block["in"]
    chunks = [torch.randn(shape, dtype=torch.float64) for _ in range(3)]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = run(step, step.state, chunks)
        torch.onnx.export(step, (chunks[0], *step.state), dynamo=True, verbose=False).save(str(tmp_path / "step.onnx"))
    file = reference.ReferenceEvaluator(str(tmp_path / "step.onnx"))

    def called(*given: torch.Tensor) -> list[torch.Tensor]:
        told = {n: t.numpy() for n, t in zip(file.input_names, given, strict=True)}
        return [torch.from_numpy(t) for t in file.run(None, told)]

    assert torch.allclose(run(called, step.state, chunks), expected, rtol=0, atol=1e-12)


def test_the_stream_stands_where_it_stood() -> None:
    stream, _, _ = made("tcn")
    x = torch.randn(1, 1, 300, dtype=torch.float64)
    whole = torch.cat([stream(x[..., :170]), stream(x[..., 170:]), stream.flush()], -1)
    stream.reset()
    first = stream(x[..., :170])
    stream.step(4)
    assert torch.equal(torch.cat([first, stream(x[..., 170:]), stream.flush()], -1), whole)


def test_a_state_that_grows_has_no_step() -> None:
    stream = rfcalc.to_stream(attention.InTime(attention.CASES["is_causal"][0], False).double().eval(), "8x24")
    with pytest.raises(Unsupported, match="fixed size"):
        stream.step()
    with pytest.raises(Unsupported, match="0 blocks"):
        rfcalc.to_stream("conv3-4 p1", "1x100").step(0)
