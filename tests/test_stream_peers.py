"""Other libraries' streams beside ours on the same weights: cached_conv and pytorch-tcn, where they are installed."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import rfcalc

torch = pytest.importorskip("torch")
nn = torch.nn

CHAINS = {  # kernels, strides; their delay, our latency, our state in values
    "kernels 3, 5, 7, 9": ((3, 5, 7, 9), (1, 1, 1, 1), 10, 10, 20),
    "the first of stride 2": ((3, 5, 7, 9), (2, 1, 1, 1), 10, 9, 19),
    "the second of stride 2": ((3, 5, 7, 9), (1, 2, 1, 1), 9, 8, 19),
    "the third of stride 2": ((3, 5, 7, 9), (1, 1, 2, 1), 7, 7, 20),
    "kernels of 3, strides 2, 1, 2, 1": ((3, 3, 3, 3), (2, 1, 2, 1), 3, 2, 7),
}


@pytest.mark.parametrize("name", CHAINS)
def test_cached_conv(name: str) -> None:
    """The same values behind the beginning (they continue silence, the whole run pads every layer), each at its own
    delay; ours is the same or less."""
    convs = pytest.importorskip("cached_conv.convs")
    kernels, strides, theirs, ours, state = CHAINS[name]
    torch.manual_seed(0)
    plain, cached, delay = [], [], 0
    for k, s in zip(kernels, strides, strict=True):
        pad = convs.get_padding(k, s)
        plain.append(convs.Conv1d(1, 1, k, stride=s, padding=pad))
        cached.append(convs.CachedConv1d(1, 1, k, stride=s, padding=pad, cumulative_delay=delay))
        cached[-1].load_state_dict(plain[-1].state_dict())
        delay = cached[-1].cumulative_delay
    whole, peer = nn.Sequential(*plain).double().eval(), nn.Sequential(*cached).double().eval()
    stream = rfcalc.to_stream(whole, "1x960")
    assert (delay, stream.latency, stream.plan.state["values"]) == (theirs, ours, state)
    x = torch.randn(1, 1, 960, dtype=torch.float64)
    with torch.no_grad():
        y = whole(x)
        other = torch.cat([peer(c) for c in x.split(32, -1)], -1)[..., delay:]
        mine = torch.cat([*(stream(c) for c in x.split(32, -1)), stream.flush()], -1)[..., stream.latency :]
    assert torch.allclose(mine, y, rtol=0, atol=1e-12)
    assert torch.allclose(other[..., 20:], y[..., 20 : other.shape[-1]], rtol=0, atol=1e-12)
    assert not torch.allclose(other[..., :20], y[..., :20], rtol=0, atol=1e-12)  # what they do not give


@pytest.mark.parametrize(("kernel", "stride", "theirs", "ours"), [(4, 2, 1, 2), (8, 4, 2, 4)])
def test_cached_conv_transposed(kernel: int, stride: int, theirs: int, ours: int) -> None:
    convs = pytest.importorskip("cached_conv.convs")
    torch.manual_seed(0)
    whole = nn.ConvTranspose1d(1, 1, kernel, stride, stride // 2).double()
    peer = convs.CachedConvTranspose1d(1, 1, kernel, stride=stride, padding=stride // 2).double()
    peer.load_state_dict(whole.state_dict())
    stream = rfcalc.to_stream(whole, "1x240")
    assert (peer.cumulative_delay, stream.latency) == (theirs, ours)
    x = torch.randn(1, 1, 240, dtype=torch.float64)
    with torch.no_grad():
        y = whole(x)
        other = torch.cat([peer(c) for c in x.split(16, -1)], -1)[..., theirs:]
        mine = torch.cat([*(stream(c) for c in x.split(16, -1)), stream.flush()], -1)[..., stream.latency :]
    assert torch.allclose(mine, y, rtol=0, atol=1e-12)
    assert torch.allclose(other, y[..., : other.shape[-1]], rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_pytorch_tcn(causal: bool) -> None:
    """The same values and as much state where it is causal; where it is not, it refuses."""
    home = pytest.importorskip("pytorch_tcn")
    torch.manual_seed(0)
    whole: Any = home.TCN(num_inputs=3, num_channels=[8, 8, 6, 4], kernel_size=3, causal=causal).double().eval()
    stream = rfcalc.to_stream(whole, "3x200")
    assert (stream.latency, stream.plan.state["values"]) == (0 if causal else 30, 358)
    x = torch.randn(1, 3, 200, dtype=torch.float64)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = whole(x)
        mine = torch.cat([*(stream(c) for c in x.split(8, -1)), stream.flush()], -1)[..., stream.latency :]
        assert torch.allclose(mine, y, rtol=0, atol=1e-12)
        whole.reset_buffers()
        if not causal:
            with pytest.raises(ValueError, match="only supported for causal networks"):
                whole(x[..., :8], inference=True)
            return
        other = torch.cat([whole(c, inference=True) for c in x.split(8, -1)], -1)
    assert torch.allclose(other, y, rtol=0, atol=1e-12)
