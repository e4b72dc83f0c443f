"""One step of a stream as a function of the chunk and of what is kept, as `torch.export` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from rfcalc.backend.stream.tape import Recur, Running, Tape
from rfcalc.core.errors import Unsupported

if TYPE_CHECKING:
    from rfcalc.backend.stream.build import Stream

MOST_STEPS = 4096


class StreamStep(nn.Module):
    """A stream's step on chunks of one length, once its beginning is over: ``forward(chunk, *state)`` gives the output
    and the next state; nothing is kept inside.

    `state` is what is kept after `silence` positions of zeros, so that the steps give what the stream gives for a
    signal behind so many zeros.
    """

    def __init__(self, stream: Stream, tape: Tape, kept: tuple[Tensor, ...]) -> None:
        super().__init__()
        states = stream.states
        self.net = stream.get_submodule("net") if "net" in stream._modules else nn.Module()
        self.calls = tuple(tape.calls)
        self.count, self.out, self.ends = tape.count, tape.out, tape.ends
        self.numbers = tuple(sorted(states))
        self.counts = tuple([len(states[n]) if isinstance(states[n], tuple) else 0 for n in self.numbers])
        self.kept, self.others = len(kept), len(stream.inputs) - 1
        flat = [t for n in self.numbers for t in (states[n] if isinstance(states[n], tuple) else (states[n],))]
        self.state = tuple(t.clone() for t in (*kept, *flat))
        self.latency, self.silence = stream.latency, stream.came

    def forward(self, chunk: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """The output for a chunk, then the next state.

        Args:
            chunk: of the length and the batch that the step was made for.
            state: what the step before gave, or `state`; of several inputs first the chunks of the others.
        """
        others, state = state[: self.others], state[self.others :]
        states: dict[int, Any] = {}
        at = self.kept
        for number, count in zip(self.numbers, self.counts, strict=True):
            states[number] = tuple(state[at : at + count]) if count else state[at]
            at += count or 1
        slots: list[Any] = [chunk, *others, *state[: self.kept]]
        slots += [None] * (self.count - len(slots))
        for function, read, rest, made, done in self.calls:
            xs = [slots[i] for i in read]
            if isinstance(function, (Recur, Running)):
                slots[made], states[function.number] = function.step(states[function.number], *xs)
            else:
                slots[made] = function(*xs, *rest)
            for i in done:
                slots[i] = None
        flat = [t for n in self.numbers for t in (states[n] if isinstance(states[n], (tuple, list)) else (states[n],))]
        return (slots[self.out], *[slots[i] for i in self.ends], *flat)


def step_of(stream: Stream, blocks: int, batch: int, like: Tensor) -> StreamStep:
    """The step of a stream for chunks of so many blocks; the stream itself stands where it stood.

    Raises:
        Unsupported: its state grows, or does not come to rest.
    """
    if not (isinstance(blocks, int) and isinstance(batch, int)) or blocks < 1 or batch < 1:
        raise Unsupported(f"a step of {blocks} blocks and a batch of {batch}", fix="give whole numbers from 1 on")
    if stream.plan.growth is not None:
        grows = ", ".join(at.name for at in stream.plan.timeline.lines if at.before)
        why = f"what {grows} keeps grows with every block"
        raise Unsupported("there is no step with a state of fixed size", why=why, fix="use a window: a mask that ends")
    before = {name: stream.__dict__[name] for name in STANDS}
    tapes, numbers = dict(stream.tapes), dict(stream.numbers)
    silences = []
    for line in (stream.lines[number] for number in stream.inputs):
        shape = [batch, *line.shape]
        if line.axis:
            shape[line.axis] = blocks * stream.block["in"] * line.rate[0] // line.rate[1]
        silences.append(like.new_zeros(shape, dtype=line.kind))
    silence = silences[0]
    try:
        stream.reset()
        for _ in range(MOST_STEPS):
            stream(*silences)
            played = stream.played
            if played is None:
                continue
            tape, kept = played
            if stream.tapes.get((tape.after, silence.shape, silence.dtype, silence.device)) is tape:
                return StreamStep(stream, tape, tuple(kept))
        raise Unsupported("the stream does not come to rest", why=f"{MOST_STEPS} steps have begun in other states")
    finally:
        stream.__dict__.update(before)
        stream.tapes, stream.numbers = tapes, numbers


STANDS = ("came", "_like", "left", "ended", "batch", "next", "kept", "states", "tape", "played", "tapes", "still")
