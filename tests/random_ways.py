"""Small random modules whose code takes other ways at other sizes, and what they do at every size, run without data."""

from __future__ import annotations

import copy
from random import Random
from typing import Any, NamedTuple

import rfcalc
from rfcalc import RfcalcError

torch: Any = __import__("torch")
nn: Any = torch.nn
F: Any = nn.functional
CHANNELS = 2


class Part(nn.Module):  # type: ignore[misc]
    """A piece of code on a map; `a`, `b` are its numbers, `axis` is one of its two axes."""

    def __init__(self, a: int, b: int, axis: int) -> None:
        super().__init__()
        self.a, self.b, self.axis = a, b, axis
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)


class Strided(Part):
    def forward(self, x: Any) -> Any:
        return F.conv2d(x, self.conv.weight, None, 2, self.b % 2)


class Pooled(Part):
    def forward(self, x: Any) -> Any:
        return F.max_pool2d(x, 2, ceil_mode=self.a % 2 == 0)


class Windowed(Part):
    """Windows, padded where they do not fit, and a shift that is left out where the map is no larger."""

    def forward(self, x: Any) -> Any:
        k = self.a % 4 + 2
        y = x.permute(0, 2, 3, 1)
        b, h, w, c = y.shape
        right, below = (k - w % k) % k, (k - h % k) % k
        if right or below:
            y = F.pad(y, (0, 0, 0, right, 0, below))
        _, ph, pw, _ = y.shape
        shift = [k // 2, k // 2]
        if k >= ph:
            shift[0] = 0
        if k >= pw:
            shift[1] = 0
        if sum(shift):
            y = torch.roll(y, (-shift[0], -shift[1]), (1, 2))
        y = y.view(b, ph // k, k, pw // k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, k * k, c)
        y = y.view(b, ph // k, pw // k, k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(b, ph, pw, c)
        if sum(shift):
            y = torch.roll(y, (shift[0], shift[1]), (1, 2))
        return y[:, :h, :w, :].permute(0, 3, 1, 2)


class Fitting(Part):
    """Windows that must fit: what does not is refused by a view, or by an assertion before it."""

    def forward(self, x: Any) -> Any:
        k = self.a % 3 + 2
        b, c, h, w = x.shape
        if self.b % 2:
            assert h % k == 0, "windows do not fit"
        y = x.reshape(b, c, h // k, k, w)
        return y.reshape(b, c, h, w)


class Padded(Part):
    def forward(self, x: Any) -> Any:
        k = self.a % 5 + 2
        h, w = x.shape[-2:]
        if h % k or w % k:
            x = F.pad(x, (0, -w % k, 0, -h % k))
        return x


class Nested(Part):
    """Other layers for large maps, and for odd ones among them."""

    def forward(self, x: Any) -> Any:
        n = x.shape[2 + self.axis]
        if n > self.a:
            if n % 2:
                return self.conv(x[:, :, :-1, 1:])
            return F.avg_pool2d(x, 2)
        if n == self.b:
            return F.interpolate(x, scale_factor=2)
        return x


class Until(Part):
    """A loop whose count hangs on a length."""

    def forward(self, x: Any) -> Any:
        while x.shape[2 + self.axis] > self.a + 3:
            x = F.max_pool2d(x, 2, ceil_mode=True)
        return x


class Counted(Part):
    def forward(self, x: Any) -> Any:
        for _ in range(min(x.shape[2 + self.axis] // (self.a + 6), 3)):
            x = F.conv2d(x, self.conv.weight)
        return x


class Exact(Part):
    """Resized, but for one size, as vision transformers do."""

    def forward(self, x: Any) -> Any:
        side = self.a + 9
        return F.interpolate(x, (side, side)) if x.shape[2] != side or x.shape[3] != side else x


class Asserted(Part):
    def forward(self, x: Any) -> Any:
        n = x.shape[2 + self.axis]
        if self.b % 3 == 0:
            assert n >= self.a, "too small"
        elif self.b % 3 == 1:
            assert n % 2 == self.a % 2, "another parity is wanted"
        elif n == self.a + self.b:
            raise ValueError("a size that is not wanted")
        return x


class Merged(Part):
    """As patches are merged: odd sizes are padded."""

    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        x = F.pad(x, (0, w % 2, 0, h % 2))
        return x[..., 0::2, 0::2] + x[..., 1::2, 0::2] + x[..., 0::2, 1::2] + x[..., 1::2, 1::2]


class Back(Part):
    """Down and up again, to the size it had."""

    def forward(self, x: Any) -> Any:
        y = F.max_pool2d(x, 2, ceil_mode=self.a % 2 == 0)
        if y.shape[2 + self.axis] % 3 == self.b % 3:
            y = F.pad(y, (1, 0, 0, 1))
        return x + F.interpolate(y, size=x.shape[-2:])


class Last(Part):
    def forward(self, x: Any) -> Any:
        return self.conv(x)


KINDS = (
    *(Strided, Pooled, Windowed, Fitting, Padded, Nested, Until, Counted, Exact, Asserted, Merged, Back),
    *(Strided, Windowed, Nested),
)


class Compared(NamedTuple):
    """What came of a module: whether its sizes were told, what is wrong with them (empty: nothing), and its parts."""

    told: bool
    wrong: str
    parts: str
    why: str = ""


def module_of(seed: int) -> tuple[Any, tuple[int, int, int]]:
    """A module of one to four pieces, and a shape to read it at."""
    random = Random(seed)
    parts = [
        random.choice(KINDS)(random.randrange(2, 30), random.randrange(2, 30), random.randrange(2))
        for _ in range(random.randrange(1, 5))
    ]
    side = random.choice((24, 32, 36, 48, 61))
    shape = (CHANNELS, side, side if random.random() < 0.6 else random.choice((28, 40, 45)))
    return nn.Sequential(*parts, Last(0, 0, 0)), shape


def compared(seed: int, largest: int = 100) -> Compared:
    """The sizes that are told of a random module against running it at each of them."""
    module, shape = module_of(seed)
    parts = ", ".join(f"{type(p).__name__}({p.a}, {p.b}, {p.axis})" for p in module) + f" at {shape}"
    try:
        found = rfcalc.sizes(module, shape)
    except RfcalcError as error:
        return Compared(False, "", parts, f"{error.what}: {error.why}")
    run = copy.deepcopy(module).to("meta").eval()
    for axis, solved in enumerate(found.axes):
        (formula,) = found.output(axis).values()
        for n in range(1, largest + 1):
            dims = list(shape)
            dims[axis + 1] = n
            try:
                with torch.no_grad():
                    y = run(torch.empty(1, *dims, device="meta"))
            except (RuntimeError, ValueError, AssertionError):
                y = None
            if (n in solved.valid) != (y is not None):
                told = "takes it" if y is None else "refuses it"
                return Compared(True, f"axis {axis}, size {n}: rfcalc {told}, and the code does not", parts)
            if y is not None and formula is not None and eval(formula, {}, {"n": n}) != y.shape[axis + 2]:
                return Compared(True, f"axis {axis}, size {n}: {formula} is not {y.shape[axis + 2]}", parts)
    return Compared(True, "", parts)
