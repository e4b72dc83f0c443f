"""What PyTorch takes in training for a recurrent layer on a CPU, in float32: kept for backward, and for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rfcalc.core.cost import Library

PAGE = 4096  # bytes
WIDTH = 4  # bytes of a value


class Sizes(NamedTuple):
    """A recurrent layer on a batch: positions, sequences, features, values of the state, gates, directions; whether it
    has biases, and whether any of its parameters are trained."""

    positions: int
    sequences: int
    features: int
    hidden: int
    gates: int
    directions: int
    biased: bool
    trained: bool

    @property
    def state(self) -> int:
        """Bytes of the states at one position, in one direction."""
        return WIDTH * self.sequences * self.hidden

    @property
    def read(self) -> int:
        """Bytes of the input."""
        return WIDTH * self.positions * self.sequences * self.features

    @property
    def bias(self) -> int:
        """Bytes of one of the two biases of a direction."""
        return WIDTH * self.gates * self.hidden * self.biased

    @property
    def of_state(self) -> int:
        """Bytes of the weights that read the state, in one direction."""
        return WIDTH * self.gates * self.hidden * self.hidden

    @property
    def of_input(self) -> int:
        """Bytes of the weights that read the input, in one direction."""
        return WIDTH * self.gates * self.hidden * self.features

    @property
    def params(self) -> int:
        """Bytes of the parameters of one direction."""
        return 2 * self.bias + self.of_state + self.of_input


def workspace(r: int, n: int, c: int, h: int) -> int:
    """The bytes of the workspace of an LSTM in one direction, which oneDNN makes in forward and PyTorch keeps.

    It is seven arrays, each rounded up to pages of 4,096 bytes: for r positions of n sequences of c values side by
    side, h hidden values, m = max(c, h) and rows of ⌈·⌉ values (a multiple of 16, 16 more for multiples of 256):
    gates r·n·⌈4·h⌉, states r·n·⌈h⌉, states and two gradients of them 2·(r + 1)·n·⌈m⌉ each, cell states and their
    gradients 2·(r + 1)·n·h each, of 4 bytes (oneDNN, ``rnn_utils.cpp``).
    """
    states = 2 * (r + 1) * n
    arrays = (r * n * _row(4 * h), r * n * _row(h), *[states * _row(max(c, h))] * 3, *[states * h] * 2)
    return sum(-(-WIDTH * size // PAGE) * PAGE for size in arrays)


def in_onednn(size: Sizes, learns: bool, copied: bool) -> Library:
    """An LSTM, which oneDNN runs a direction at a time.

    Args:
        learns: whether its input has a gradient.
        copied: whether the input is laid out anew.
    """
    r, n, c, h, _, d, *_ = size
    space = workspace(r, n, c, h)
    each, state, read = r * size.state, size.state, size.read
    zeros = [] if size.biased else [size.of_input, size.of_state] * d  # as large as weights, in the place of biases
    kept = (*[space] * d, *[state] * (4 * d), *([read] if copied else []), *([each] * d if d > 1 else []), *zeros)
    passing = 2 * state + (0 if learns else read)  # the gradient of its input is made in any case
    passing += 0 if size.biased else 2 * WIDTH * size.gates * h  # and that of biases
    if d > 1:  # the second direction first, when the parameters of the first have no gradients yet
        passing += max(-size.params, read - space - 4 * state - each - sum(zeros) // d)
    return Library(kept, passing, not copied, d == 1, frozen_too=True, followed=d == 1)


def _row(values: int) -> int:
    """The values between rows of a matrix as oneDNN lays it out: 64-byte aligned, and no multiple of 256."""
    found = -(-values // 16) * 16
    return found + 16 if found % 256 == 0 else found


def step_by_step(size: Sizes, learns: bool, copied: bool) -> Library:
    """A GRU or a plain RNN, which PyTorch runs position by position, a direction after the other (``RNN.cpp``).

    Every step of a GRU keeps seven states, of a plain RNN one; the products of the input with its weights are made for
    all positions at once, and live until forward ends. In backward every step hands its share of the gradients of
    the gates on, which are stacked at the end; gradients of weights that read the state are added step by step.

    Args:
        learns: whether its input has a gradient.
        copied: whether the input is laid out anew, for each direction.
    """
    r, d, state, gru = size.positions, size.directions, size.state, size.gates == 3
    last = state if gru else 0  # the last state of a GRU is kept by nothing
    if size.trained:
        zeros, gone = d * state, (7 if gru else 1) * r * state - last  # the states before the first; those of a step
        kept, passed = (*[gone] * d, zeros, *([size.read] * d if copied else [])), last
    else:  # neither the input nor the states are kept for the gradients of weights
        zeros, gone = 0, (6 if gru else 1) * r * state
        kept, passed = (*[gone] * d,), state * (1 + r * gru)
    forward = passed * d + size.gates * r * state + (d * r * state if d > 1 else 0)
    early, late, level = 0, 0, 0
    for direction in range(d):
        end = direction == d - 1
        for bytes_, read in _backward(size, zeros if end else 0, learns):
            if read and end:  # the gradient of the output goes with the last position that has read it
                late = max(late, level + bytes_)
            else:
                early = max(early, level + bytes_)
        level += size.trained * size.params - gone + (learns - copied * size.trained) * size.read
    if d > 1:
        late = max(late, level - zeros + learns * size.read)  # both gradients of the input, and their sum
    told = size.trained * d * size.params + learns * size.read
    return Library(kept, early - told, size.trained and not copied, False, forward, late - told)


def _backward(size: Sizes, zeros: int, learns: bool) -> Iterator[tuple[int, bool]]:
    """Bytes at the moments of the backward pass of one direction, beside what lives when it begins, and whether the
    last position of the gradient of its output has been read. The states before the first (`zeros`) end with the last
    step. Between the second step and the last but one bytes fall steadily, or stay."""
    r, gru = size.positions, size.gates == 3

    def at(states: int, biases: int, weights: int) -> int:
        return states * size.state + size.trained * (biases * size.bias + weights * size.of_state)

    yield at((4 if r > 1 else 2) if gru else 1, 0, 0), False
    if gru:
        yield at(2 if r > 1 else 0, 1, 1), r < 3
        if r > 2:
            yield at(0, 1, 1), False
            yield from ((at(*one), r < 4) for one in ((1, 1, 1), (-6, 3, 2), (-2, 2, 2), (-7, 1, 3)))
        if r > 1:
            yield from ((at(*one), True) for one in ((8 - 4 * r, 1, 1), (4 - 4 * r, 2, 2)))
        lived, stacked = (1 - 4 * r, 1 - r) if size.trained else (-3 * r, 0)
    else:
        yield (at(2, 1, 1), False) if r > 1 else (at(0, 1, 1), True)
        if r > 2:
            yield from ((at(*one), False) for one in ((1, 3, 2), (2, 2, 2)))
            yield at(1, 1, 3), r < 4
        if r > 1:
            yield at(0, 2, 2), True
        lived, stacked = 0, r
    if r > 1:
        yield from ((at(*one) - zeros, True) for one in ((lived, 3, 2), (lived, 1, 3)))
    yield at(stacked, 1, 1) - zeros, True
    yield at(lived, 2, 1) - zeros + size.trained * size.of_input + learns * size.read, True
