"""Public networks for streams, written anew and small: TCN, WaveNet, HiFi-GAN, Demucs, TDS, CRN, an amplifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Chomp(nn.Module):
    """Cuts off what was padded too much at the end."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.count].contiguous()


class TemporalBlock(nn.Module):
    """Bai et al. 2018: two dilated causal convolutions with weight normalisation, and a residual."""

    def __init__(self, into: int, out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        pad = (kernel - 1) * dilation
        normed = nn.utils.parametrizations.weight_norm
        self.conv1 = normed(nn.Conv1d(into, out, kernel, padding=pad, dilation=dilation))
        self.conv2 = normed(nn.Conv1d(out, out, kernel, padding=pad, dilation=dilation))
        self.chomp1, self.chomp2 = Chomp(pad), Chomp(pad)
        self.down = nn.Conv1d(into, out, 1) if into != out else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.chomp2(self.conv2(F.relu(self.chomp1(self.conv1(x))))))
        return F.relu(y + (x if self.down is None else self.down(x)))


def tcn() -> nn.Module:
    return nn.Sequential(TemporalBlock(1, 8, 3, 1), TemporalBlock(8, 8, 3, 2), TemporalBlock(8, 4, 3, 4))


class WaveNet(nn.Module):
    """van den Oord et al. 2016: gated dilated convolutions, residuals, skips; padded on the left, or not at all."""

    def __init__(self, channels: int = 8, skips: int = 6, layers: int = 6, padded: bool = True) -> None:
        super().__init__()
        self.padded, self.dilations = padded, [2**i for i in range(layers)]
        self.first = nn.Conv1d(1, channels, 1)
        self.filters = nn.ModuleList(nn.Conv1d(channels, channels, 2, dilation=d) for d in self.dilations)
        self.gates = nn.ModuleList(nn.Conv1d(channels, channels, 2, dilation=d) for d in self.dilations)
        self.residuals = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in self.dilations)
        self.skips = nn.ModuleList(nn.Conv1d(channels, skips, 1) for _ in self.dilations)
        self.last = nn.Conv1d(skips, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.first(x), None
        for d, f, g, r, s in zip(self.dilations, self.filters, self.gates, self.residuals, self.skips, strict=True):
            y = F.pad(x, (d, 0)) if self.padded else x
            z = torch.tanh(f(y)) * torch.sigmoid(g(y))
            n = z.shape[-1]
            total = s(z) if total is None else total[..., -n:] + s(z)
            x = x[..., -n:] + r(z)
        return self.last(F.relu(total))


class Residual(nn.Module):
    """HiFi-GAN's residual block of dilated convolutions."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...] = (1, 3, 5)) -> None:
        super().__init__()
        half = (kernel - 1) // 2
        self.wide = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * half) for d in dilations
        )
        self.narrow = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=half) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            x = x + narrow(F.leaky_relu(wide(F.leaky_relu(x, 0.1)), 0.1))
        return x


class HifiGan(nn.Module):
    """Kong et al. 2020: transposed convolutions, each followed by residual blocks side by side."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Conv1d(20, width, 7, padding=3)
        sizes = [(width, width // 2, 8), (width // 2, width // 4, 4), (width // 4, width // 8, 2)]
        self.ups = nn.ModuleList(nn.ConvTranspose1d(a, b, 2 * u, u, padding=u // 2) for a, b, u in sizes)
        self.blocks = nn.ModuleList(nn.ModuleList(Residual(b, k) for k in (3, 7, 11)) for _, b, _ in sizes)
        self.last = nn.Conv1d(width // 8, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            x = sum(block(x) for block in blocks) / 3
        return torch.tanh(self.last(F.leaky_relu(x)))


class Demucs(nn.Module):
    """Défossez et al. 2020 (denoiser): strided convolutions, an LSTM, transposed ones, skips that are cut to fit."""

    def __init__(self, hidden: int = 4, depth: int = 3, bidirectional: bool = False) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        into, out, wide = 1, 1, hidden
        for i in range(depth):
            self.encoder.append(
                nn.Sequential(nn.Conv1d(into, wide, 8, 4), nn.ReLU(), nn.Conv1d(wide, 2 * wide, 1), nn.GLU(1))
            )
            last = [nn.ReLU()] if i else []
            self.decoder.insert(
                0, nn.Sequential(nn.Conv1d(wide, 2 * wide, 1), nn.GLU(1), nn.ConvTranspose1d(wide, out, 8, 4), *last)
            )
            into, out, wide = wide, wide, 2 * wide
        self.lstm = nn.LSTM(into, into, 2, bidirectional=bidirectional)
        self.linear = nn.Linear(2 * into, into) if bidirectional else None

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        y, _ = self.lstm(x.permute(2, 0, 1))
        x = (y if self.linear is None else self.linear(y)).permute(1, 2, 0)
        for decode in self.decoder:
            skip = skips.pop()
            x = decode(x + skip[..., : x.shape[-1]])
        return x


class Crn(nn.Module):
    """Tan & Wang 2018, in small: causal convolutions over frames × bands, an LSTM over frames."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, (2, 3), (1, 2), (0, 1))
        self.conv2 = nn.Conv2d(4, 8, (2, 3), (1, 2), (0, 1))
        self.lstm = nn.LSTM(8 * 16, 32, batch_first=True)
        self.last = nn.Linear(32, 64)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.elu(conv(F.pad(x, (0, 0, 1, 0))))
        b, c, t, f = x.shape
        y, _ = self.lstm(x.permute(0, 2, 1, 3).reshape(b, t, c * f))
        return self.last(y)


class Gru(nn.Module):
    """A convolution, two GRU layers, a linear layer: keyword spotting."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 5, padding=2)
        self.gru = nn.GRU(8, 8, batch_first=True, num_layers=2)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.gru(self.conv(x).transpose(1, 2))
        return self.last(y)


class Amplifier(nn.Module):
    """An LSTM over samples with a linear layer, added to the dry signal (Wright et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 16, batch_first=True)
        self.last = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.lstm(x.transpose(1, 2))
        return self.last(y).transpose(1, 2) + x


class Tds(nn.Module):
    """Hannun et al. 2019: time-depth separable blocks, sub-sampling by two between groups, asymmetric padding."""

    def __init__(self, ahead: int = 1) -> None:
        super().__init__()
        self.ahead = ahead
        self.subs = nn.ModuleList([nn.Conv2d(1, 4, (8, 1), (2, 1)), nn.Conv2d(4, 6, (8, 1), (2, 1))])
        self.convs = nn.ModuleList([nn.Conv2d(4, 4, (5, 1)), nn.Conv2d(6, 6, (5, 1))])
        self.lines = nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(6, 6, 1)])

    def forward(self, x: Tensor) -> Tensor:
        for sub, conv, line in zip(self.subs, self.convs, self.lines, strict=True):
            x = F.relu(sub(F.pad(x, (0, 0, 5, 1))))
            x = x + F.relu(conv(F.pad(x, (0, 0, 4 - self.ahead, self.ahead))))
            x = x + line(F.relu(x))
        return x


class LimitedTds(nn.Module):
    """Pratap et al. 2020: wav2letter's streaming model of time-depth separable blocks, with a limited look-ahead."""

    GROUPS = (  # kernel, stride, padding of each sub-sampling; kernel and padding of the blocks behind it
        (10, 2, (5, 3), [(9, (7, 1))] * 2),
        (10, 2, (7, 1), [(9, (7, 1))] * 3),
        (12, 2, (9, 1), [(11, (9, 1))] * 3 + [(11, (10, 0))]),
        (11, 1, (10, 0), [(11, (10, 0))] * 5),
    )

    def __init__(self, channels: tuple[int, ...] = (2, 3, 3, 4)) -> None:
        super().__init__()
        self.subs, self.blocks = nn.ModuleList(), nn.ModuleList()
        into = 1
        for (kernel, stride, _, blocks), out in zip(self.GROUPS, channels, strict=True):
            self.subs.append(nn.Conv2d(into, out, (kernel, 1), (stride, 1)))
            self.blocks.append(
                nn.ModuleList(nn.ModuleList([nn.Conv2d(out, out, (k, 1)), nn.Conv2d(out, out, 1)]) for k, _ in blocks)
            )
            into = out

    def forward(self, x: Tensor) -> Tensor:
        for (_, _, around, pads), sub, blocks in zip(self.GROUPS, self.subs, self.blocks, strict=True):
            x = F.relu(sub(F.pad(x, (0, 0, *around))))
            for (_, pad), (conv, line) in zip(pads, blocks, strict=True):
                x = x + F.relu(conv(F.pad(x, (0, 0, *pad))))
                x = x + line(F.relu(x))
        return x


class Separator(nn.Module):
    """Conv-TasNet (Luo & Mesgarani 2019) with normalisation over the channels of each frame, and causal."""

    def __init__(self, norm: str = "channels", width: int = 12) -> None:
        super().__init__()
        self.encode = nn.Conv1d(1, width, 16, 8)
        self.norm = nn.GroupNorm(1, width) if norm == "global" else nn.BatchNorm1d(width)
        self.inner = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=2**i, groups=width) for i in range(3))
        self.mix = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(3))
        self.mask = nn.Conv1d(width, width, 1)
        self.decode = nn.ConvTranspose1d(width, 1, 16, 8)

    def forward(self, x: Tensor) -> Tensor:
        encoded = F.relu(self.encode(x))
        y = self.norm(encoded)
        for i, (conv, mix) in enumerate(zip(self.inner, self.mix, strict=True)):
            y = y + mix(F.relu(conv(F.pad(y, (2 * 2**i, 0)))))
        return self.decode(encoded * torch.sigmoid(self.mask(y)))


class UNet(nn.Module):
    """Wave-U-Net in small: pooling, linear resizing, skips joined."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        thin = width // 2
        self.down = nn.ModuleList([nn.Conv1d(1, thin, 5, padding=2), nn.Conv1d(thin, width, 5, padding=2)])
        self.middle = nn.Conv1d(width, width, 5, padding=2)
        self.up = nn.ModuleList([nn.Conv1d(2 * width, thin, 5, padding=2), nn.Conv1d(width, thin, 5, padding=2)])

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for conv in self.down:
            x = F.leaky_relu(conv(x))
            skips.append(x)
            x = F.max_pool1d(x, 2)
        x = F.leaky_relu(self.middle(x))
        for conv in self.up:
            x = F.interpolate(x, scale_factor=2, mode="linear")
            x = F.leaky_relu(conv(torch.cat([x, skips.pop()], 1)))
        return x


class Snake(nn.Module):
    """The periodic activation of BigVGAN and DAC, between two convolutions: a learned factor is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 8, 7, padding=3), nn.Conv1d(8, 1, 1)
        self.alpha = nn.Parameter(torch.rand(1, 8, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(x + (self.alpha + 1e-9).reciprocal() * torch.sin(self.alpha * x).pow(2))
