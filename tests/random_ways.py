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


class Positions(Part):
    """A table for a number of positions, of which as many are taken as there are."""

    def forward(self, x: Any) -> Any:
        n = x.shape[2 + self.axis]
        table = torch.zeros(self.a, 1, device=x.device) if self.axis == 0 else torch.zeros(1, self.a, device=x.device)
        return x + (table[:n] if self.b % 3 == 0 and self.axis == 0 else table)


class Gridded(Part):
    """Windows of a grid that is fixed, behind windows that are."""

    def forward(self, x: Any) -> Any:
        b, c, h, w = x.shape
        k, side = self.a % 3 + 2, self.b % 4 + 3
        y = x.view(b, c, h // k, k, w)
        if self.b % 2:
            y = y.reshape(b, c, side, -1, w)
        return y.reshape(b, c, -1, w)


class Together(Part):
    def forward(self, x: Any) -> Any:
        k = self.a % 3 + 2
        y = F.interpolate(F.max_pool2d(x, k, ceil_mode=self.b % 2 == 0), scale_factor=k)
        return torch.cat([x, y], 1)[:, ::2] if self.b % 3 else x + y


class Mixed(Part):
    """Rows are mixed by a table that fits one number of them; an einsum, or a product."""

    def forward(self, x: Any) -> Any:
        table = torch.zeros(self.a, 6, device=x.device)
        if self.b % 2:
            return torch.einsum("bchw,hk->bckw", x, table)
        y = x.flatten(1, 2).transpose(1, 2) @ torch.zeros(CHANNELS * self.a, CHANNELS * 4, device=x.device)
        return y.view(1, x.shape[3], CHANNELS, 4).permute(0, 2, 3, 1)


class Mirrored(Part):
    def forward(self, x: Any) -> Any:
        mode = "reflect" if self.b % 2 else "circular"
        return F.pad(x, (0, 0, self.a % 9, -x.shape[2] % (self.b % 7 + 2)), mode=mode)


class Caught(Part):
    """A statement refuses it, told by another one."""

    def forward(self, x: Any) -> Any:
        try:
            for n in x.shape[2:]:
                if n % (self.a % 4 + 2) == 1:
                    raise KeyError(n)
        except KeyError as error:
            told = f"{x.shape} is refused"
            if self.b % 2:
                told += f": {error}"
            raise ValueError(told) from error
        return x


class Forgiving(Part):
    """It goes on where an operator refuses."""

    def forward(self, x: Any) -> Any:
        try:
            return x + torch.zeros(self.a, device=x.device)
        except RuntimeError:
            return x[..., : self.b]


class Last(Part):
    def forward(self, x: Any) -> Any:
        return self.conv(x)


KINDS = (
    *(Strided, Pooled, Windowed, Fitting, Padded, Nested, Until, Counted, Exact, Asserted, Merged, Back),
    *(Strided, Windowed, Nested),
)

REFUSING = (Positions, Gridded, Together, Mixed, Mirrored, Caught, Forgiving)


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


def refusing_module_of(seed: int) -> tuple[Any, tuple[int, int, int]]:
    """A module whose pieces take the shape that it is read at, and few others."""
    random = Random(seed)
    shape = (CHANNELS, random.choice((12, 24, 30)), random.choice((12, 18, 28)))
    x = torch.empty(1, *shape, device="meta")
    parts: list[Any] = []
    for _ in range(random.randrange(2, 5)):
        for _ in range(20):
            kind = random.choice(KINDS + REFUSING * 3)
            numbers = [random.choice((random.randrange(2, 30), *x.shape[2:])) for _ in range(2)]
            part = kind(*numbers, random.randrange(2)).to("meta")
            try:
                y = part(x)
            except (RuntimeError, ValueError, AssertionError, ZeroDivisionError):
                continue
            parts, x = [*parts, kind(*numbers, part.axis)], y
            break
    return nn.Sequential(*parts, Last(0, 0, 0)), shape


def compared(seed: int, largest: int = 100, refusing: bool = False) -> Compared:
    """The sizes that are told of a random module against running it at each of them."""
    module, shape = (refusing_module_of if refusing else module_of)(seed)
    parts = ", ".join(f"{type(p).__name__}({p.a}, {p.b}, {p.axis})" for p in module) + f" at {shape}"
    try:
        found = rfcalc.sizes(module, shape)
    except RfcalcError as error:
        return Compared(False, "", parts, f"{error.what}: {error.why}")
    run = copy.deepcopy(module).to("meta").eval()
    dims_read = found.inputs[0].dims  # others than the shape, where that does not run
    for axis, solved in enumerate(found.axes):
        (formula,) = found.output(axis).values()
        for n in range(1, largest + 1):
            dims = list(dims_read)
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
