"""Run a network along one axis, chunk by chunk: every node runs as soon as what it reads has come.

It stands by itself on PyTorch: written streams carry this source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rfcalc.backend.parts.attention import by_offset
from rfcalc.backend.stream.chunks import unfit
from rfcalc.backend.stream.reads import Held, Read, StreamedMap
from rfcalc.backend.stream.tape import (
    Recur,
    Run,
    Running,
    Tape,
    blank,
    cat,
    narrow,
    picked,
    piece,
    spread,
    widened,
    zeros,
)


class Streamed(nn.Module):
    """A network that takes its input in chunks along one axis and gives what the whole run gives, `latency` late.

    ``forward(chunk)`` gives as many blocks as came in, ``flush()`` the rest; the first `latency` positions of the
    output are zeros, then comes the whole run's output, position by position. ``reset()`` begins anew.

    How a line is made from the positions that its new units read:

    - window: its layer, without padding of its own along the axis, on exactly these positions;
    - table: its layer on whole turns, what is not asked for is cut off;
    - whole: its layer with its own padding, on whole steps, what its padding touches is cut off but at the real ends;
    - transposed: its layer without trimming, then cut;
    - recurrent, running: its layer on new positions, from the state (the last result) that it left;
    - attention: its products of new queries with the keys that the mask leaves them.
    """

    refusal: type[Exception] = ValueError

    def __init__(self, lines: Sequence[StreamedMap], output: int, block: dict[str, int], latency: int) -> None:
        super().__init__()
        self.lines = tuple(lines)
        self.output = output
        self.block = dict(block)
        self.latency = latency
        self.readers: dict[int, list[tuple[int, Read]]] = {}
        for number, line in enumerate(self.lines):
            for read in line.reads:
                self.readers.setdefault(read.source, []).append((number, read))
        self.last: dict[int, list[int]] = {}  # node → maps of which it is the last reader
        for number, readers in self.readers.items():
            plain = self.lines[number].axis and not self.lines[number].again and number != output
            if plain and not any(self.lines[reader].again for reader, _ in readers):
                self.last.setdefault(max(reader for reader, _ in readers), []).append(number)
        given = [i for i, line in enumerate(self.lines) if i == 0 or line.how in ("input", "signal")]
        self.inputs = tuple(given)
        self.tapes: dict[Any, Tape] = {}  # steps by the state in which they begin, and the chunk
        self.numbers: dict[tuple[Any, ...], int] = {}  # states
        self.reset()

    def reset(self) -> None:
        """Forget what has come: the next chunk begins a new stream."""
        self.came = 0
        self._like = self._now = torch.empty(0)
        self.left = 0  # positions of the output that have been given, the empty ones included
        self.ended = False
        self.batch = -1
        self.next = [0] * len(self.lines)  # units that have been made
        self.kept: dict[int, Held] = {}
        self.states: dict[int, Any] = {}
        self.tape: Tape | None = None  # what is recorded now
        self.played: tuple[Tape, list[Tensor]] | None = None  # the last step, where it was played from a tape
        self.still: dict[int, Tensor] = {}  # the inputs without the axis, as they last came

    def __getstate__(self) -> dict[str, Any]:
        self._settled()
        return {**self.__dict__, "tapes": {}, "numbers": {}}

    def held_bytes(self) -> int:
        """Bytes that are kept now."""
        self._settled()
        tensors = [held.values for held in self.kept.values()]
        for state in self.states.values():
            tensors += state if isinstance(state, tuple) else [state]
        return sum(t.numel() * t.element_size() for t in tensors)

    def forward(self, chunk: Tensor, *others: Tensor) -> Tensor:
        """The next blocks of the output.

        Args:
            chunk: batch first, any whole number of blocks along the axis.
            others: of the other inputs, in order, what comes along with it; one without the axis as a whole, each time.
        """
        if self.ended:
            raise self._refused("the stream has ended", "flush() gave the rest of it", "call reset() first")
        chunks = self._fitting((chunk, *others))
        first = chunks[0]
        stands = self.came, self.left, self.batch, list(self.next), dict(self.kept), dict(self.states), self.played
        self.batch = len(first)
        self._like = self._like if self.came else first.new_empty((len(first), 0))  # (what is played does not note it)
        try:
            with torch.no_grad():
                return self._step(chunks, first.shape[self.lines[0].axis])
        except BaseException:  # as if this chunk had not come
            self.came, self.left, self.batch, self.next, self.kept, self.states, self.played = stands
            raise

    def _fitting(self, chunks: Sequence[Tensor]) -> list[Tensor]:
        """The chunks of all inputs, checked, with an axis for the channel where the module has none."""
        if len(chunks) != len(self.inputs):
            names = ", ".join(self.lines[i].name for i in self.inputs)
            what = f"{len(chunks)} chunk{'s' if len(chunks) > 1 else ''} for {len(self.inputs)} inputs"
            raise self._refused(what, f"the stream takes {names}", "give a chunk of each, in this order")
        found: list[Tensor] = []
        batch, length = self.batch, 0
        for number, x in zip(self.inputs, chunks, strict=True):
            line = self.lines[number]
            if line.how == "signal" and isinstance(x, Tensor) and x.dim() == len(line.shape):
                x = x.unsqueeze(1)
            kind = line.kind or (self._kind() if not self.came else self._float())
            p, q = line.rate
            block = self.block["in"] * p // q if line.axis else 0
            refusal = unfit(line, x, length * p // q, block, batch, kind)
            if refusal is not None:
                raise self._refused(*refusal)
            found.append(x)
            batch = x.shape[0]
            length = length or x.shape[line.axis]
        return found

    def _float(self) -> torch.dtype:
        """The type of values that are computed without parameters."""
        return self._like.dtype if self._like.is_floating_point() else torch.get_default_dtype()

    def _kind(self) -> torch.dtype | None:
        """The type of the values that its layers compute with."""
        return next((t.dtype for t in (*self.parameters(), *self.buffers()) if t.is_floating_point()), None)

    def flush(self) -> Tensor:
        """The rest of the output, after the last chunk: the end of the input is known now."""
        if self.ended or not self.came:
            what = "the stream has ended" if self.ended else "nothing has come yet"
            raise self._refused(what, "flush() is for the end of a stream", "call reset() and forward(chunk) first")
        self._settled()
        self.ended = True
        with torch.no_grad():
            return self._advance({})

    def _refused(self, what: str, why: str, fix: str) -> Exception:
        return self.refusal(f"{what}: {why}{'; ' if fix else ''}{fix}")

    # --- steps that are alike ----------------------------------------------------------------------------------

    def _step(self, chunks: list[Tensor], length: int) -> Tensor:
        """One step, played from a tape where the same one has been made."""
        before = self._state() if self.played is None else self.played[0].after
        self.still = {n: x for n, x in zip(self.inputs, chunks, strict=True) if not self.lines[n].axis}
        first = chunks[0]
        key = (before, first.shape, first.dtype, first.device)
        tape = self.tapes.get(key) or self.tapes.get((*key, self.came))
        if tape is not None:
            held = [h.values for _, h in sorted(self.kept.items())] if self.played is None else self.played[1]
            out, kept = tape.play([*chunks, *held])
            self.came += length
            self.left += tape.left
            self.played = tape, kept
            return out
        self._settled()
        if len(self.tapes) >= 64:  # chunks of ever new lengths
            self.tapes.clear()
            self.numbers.clear()
            key = (self._state(), *key[1:])
        self.tape = tape = Tape([*chunks, *(h.values for _, h in sorted(self.kept.items()))])
        left, came = self.left, self.came
        self.came += length
        try:
            out = self._advance(dict(zip(self.inputs, chunks, strict=True)))
        finally:
            self.tape, self._now = None, self._like
        kept_now = sorted(self.kept.items())
        tape.end(out, [h.values for _, h in kept_now])
        if not tape.lost:
            tape.left, tape.after = self.left - left, self._state()
            tape.kept = tuple([(n, h.start - self._place(n), h.gaps) for n, h in kept_now])
            tape.next = tuple([n - self._place(i) for i, n in enumerate(self.next)])
            self.tapes[(*key, came) if tape.early else key] = tape
        return out

    def _place(self, number: int) -> int:
        """Where a map stands by what has come: whole, for whole blocks; 0 for what is not made step by step."""
        p, q = self.lines[number].rate
        return self.came * p // q if self.lines[number].axis else 0

    def _state(self) -> int:
        """The number of a state: everything that decides what the next step does but the chunk, all positions counted
        from what has come."""
        kept = [(n, h.start - self._place(n), h.values.shape, h.gaps) for n, h in sorted(self.kept.items())]
        ready = [n - self._place(i) for i, n in enumerate(self.next) if i]
        left = self.left - self.came // self.block["in"] * self.block["out"]
        return self.numbers.setdefault((*ready, *kept, left, *sorted(self.states)), len(self.numbers))

    def _settled(self) -> None:
        """Write down where a stream stands that was played from tapes."""
        if self.played is None:
            return
        tape, values = self.played
        pairs = zip(tape.kept, values, strict=True)
        self.kept = {n: Held(start + self._place(n), t, gaps) for (n, start, gaps), t in pairs}
        self.next = [n + self._place(i) for i, n in enumerate(tape.next)]
        self.played = None

    def _do(self, function: Any, tensors: Sequence[Tensor], *rest: Any) -> Any:
        """Call a function of tensors, and record it."""
        made = function(*tensors, *rest)
        if self.tape is not None:
            self.tape.add(function, tensors, rest, made)
        return made

    def _early(self, begins: bool) -> None:
        """The beginning of the stream plays a part: steps at other places differ."""
        if begins and self.tape is not None:
            self.tape.early = True

    # --- one step ----------------------------------------------------------------------------------------------

    def _length(self, line: StreamedMap) -> int:
        return max(0, self.came * line.rate[0] // line.rate[1] + line.extra)

    def _advance(self, chunks: dict[int, Tensor]) -> Tensor:
        values: list[Any] = []  # a Held for each map; a tensor for what depends on no position
        counts = [0] * len(self.lines)
        like = chunks.get(0, self._like)
        self._like = like.new_empty((len(like), 0))  # the batch, device and dtype, without the memory of the chunk
        self._now = like
        for number, line in enumerate(self.lines):
            if number in self.still:
                values.append(self.still[number])
                continue
            if not line.axis:
                values.append(self._still(number, line, like, values) if line.how == "constant" else None)
                continue
            if not line.reads:
                counts[number] = self._place(number)
                values.append(self._joined(number, line, chunks.get(number)))
                self.next[number] = counts[number]
                continue
            moving = [r for r in line.reads if self.lines[r.source].axis]
            stop = self._length(line)
            if not self.ended:
                most = min(r.known(counts[r.source]) for r in moving)
                self._early(most <= 0 or stop <= 0)
                stop = max(self.next[number], min(most, stop) - line.hold)
            counts[number] = stop
            made = None
            if stop > self.next[number]:
                made = self._make(number, line, self.next[number], stop, values, counts)
            values.append(self._joined(number, line, made))
            self.next[number] = stop
            for done in self.last.get(number, ()):  # nobody reads them any more in this step
                if not self.ended:
                    self._keep(done, values[done], counts[done], 0)
                values[done] = None
        return self._give(values, counts)

    def _still(self, number: int, line: StreamedMap, like: Tensor, values: list[Any]) -> Tensor:
        """A map that depends on no position of the input."""
        xs = [values[r.source] for r in line.reads] or [like]
        return self._run(line, xs)  # type: ignore[no-any-return]

    def _run(self, line: StreamedMap, xs: Sequence[Any]) -> Any:
        module = self.get_submodule(line.module) if line.module else None
        if line.run is None:
            return self._do(module, xs)
        return self._do(Run(line.run, module, line.learned and self, line.learned), xs)

    def _joined(self, number: int, line: StreamedMap, made: Tensor | None) -> Held | None:
        """What was kept of a map, and its new positions."""
        held = self.kept.pop(number, None)
        if held is not None and held.gaps is not None:
            at = torch.tensor(held.gaps, dtype=torch.long, device=held.values.device)
            size = max(held.gaps, default=-1) + 1
            held = Held(held.start, self._do(spread, [held.values], line.axis, size, at))
        if made is None:
            return held or Held(self.next[number] if line.reads else self._place(number), self._empty(line))
        start = self.next[number] if line.reads else self._place(number) - made.shape[line.axis]
        if held is None:
            return Held(start, made)
        gap = start - held.start - held.values.shape[line.axis]
        parts = [held.values, made] if not gap else [held.values, self._do(zeros, [made], line.axis, gap), made]
        return Held(held.start, self._cat(parts, line.axis))

    def _give(self, values: list[Any], counts: list[int]) -> Tensor:
        """The positions of the output that are due; then forget what nobody will read."""
        line = self.lines[self.output]
        due = self.latency + counts[self.output] if self.ended else self.came // self.block["in"] * self.block["out"]
        empty = max(0, min(due, self.latency) - self.left)
        first, last = max(0, self.left - self.latency), max(0, due - self.latency)
        self._early(empty > 0 or self.left < self.latency)
        parts = [self._empty(line, empty)] if empty or last <= first else []
        if last > first:
            parts.append(self._cut(values[self.output], line.axis, first, last))
        self.left = max(self.left, due)
        self._forget(values, counts, last)
        return parts[-1] if not empty else self._cat(parts, line.axis)

    def _empty(self, line: StreamedMap, count: int = 0) -> Tensor:
        """A map of so many zeros."""
        size = [self.batch, *line.shape]
        size[line.axis] = count
        self._early(True)
        return self._do(blank, [self._now], tuple(size), line.kind or self._kind() or self._float())  # type: ignore[no-any-return]

    def _forget(self, values: list[Any], counts: list[int], given: int) -> None:
        """Keep of each map the positions that later units read; of some that was done when their last reader ran."""
        if self.ended:
            self.kept, self.states = {}, {}
            return
        for number in range(len(self.lines) - 1, -1, -1):
            if values[number] is not None and self.lines[number].axis:
                self._keep(number, values[number], counts[number], given)

    def _keep(self, number: int, held: Held, count: int, given: int) -> None:
        """Keep of one map the positions that later units read."""
        line = self.lines[number]
        lowest = min(given, count) if number == self.output else count
        for reader, read in self.readers.get(number, ()):
            lowest = min(lowest, read.lowest(self.next[reader]))
            after = self.lines[reader].after
            if after and read.border != "zeros":  # the end will be mirrored, or repeated
                lowest = min(lowest, count - 1 - (after if read.border == "reflect" else 0))
        self._early(lowest < 0)
        lowest = max(lowest, 0)
        if line.again:
            self.next[number] = min(self.next[number], lowest)
        elif lowest < count:
            self.kept[number] = self._sparse(number, held, line.axis, lowest, count)

    def _sparse(self, number: int, held: Held, axis: int, lowest: int, count: int) -> Held:
        """The positions from `lowest` on; of those only what is read, where windows leave some out."""
        reads = self.readers.get(number, ())
        if not any(r.phases or (r.stride > 1 and (r.dilation > 1 or r.kernel < r.stride)) for _, r in reads):
            return Held(lowest, self._cut(held, axis, lowest, count, piece))
        wanted = set(range(max(0, self.left - self.latency), count)) if number == self.output else set()
        for reader, read in reads:
            unit = self.next[reader]
            if read.begins:
                wanted.update(range(lowest, count))
                continue
            dense = not read.phases and (read.stride == 1 or (read.dilation == 1 and read.kernel >= read.stride))
            self._early(read.lowest(unit) < 0)
            if dense or (read.border != "zeros" and read.lowest(unit) < 0):  # what stands before the beginning too
                wanted.update(range(max(read.lowest(unit), lowest), count))
                unit = count
            while read.lowest(unit) < count:
                wanted.update(p for p in read.taps(unit) if lowest <= p < count)
                unit += 1
            after = self.lines[reader].after
            if after and read.border != "zeros":
                wanted.update(range(max(0, count - 1 - (after if read.border == "reflect" else 0)), count))
        if len(wanted) == count - lowest:
            return Held(lowest, self._cut(held, axis, lowest, count, piece))
        values = self._cut(held, axis, lowest, count)
        gaps = tuple([p - lowest for p in sorted(wanted)])
        at = torch.tensor(gaps, dtype=torch.long, device=values.device)
        return Held(lowest, self._do(picked, [values], axis, at), gaps)

    # --- one node ----------------------------------------------------------------------------------------------

    def _make(
        self, number: int, line: StreamedMap, start: int, stop: int, values: list[Any], counts: list[int]
    ) -> Tensor:
        """Units from `start` to `stop` of a map."""
        if line.how == "recurrent":
            xs = [self._fetched(r, start, stop, values, counts, line) for r in line.reads]
            return self._do(Recur(line.run, self.get_submodule(line.module), self, number), xs)  # type: ignore[no-any-return]
        if line.how == "attention":
            return self._attend(line, start, stop, values, counts)
        if line.how == "running":
            (read,) = line.reads
            x = self._fetched(read, start, stop, values, counts, line)
            return self._do(Running(line.run, self, number, line.axis), [x])  # type: ignore[no-any-return]
        if line.how == "window":
            xs = []
            for read in line.reads:
                low, high = read.between(start, stop)
                xs.append(self._fetched(read, low, high, values, counts, line))
            return self._run(line, xs)  # type: ignore[no-any-return]
        (read,) = line.reads
        if line.how == "transposed":
            begin, end, step = start + line.cut, stop + line.cut, len(read.phases)  # among what its layer makes
            reach = read.dilation * (read.kernel - 1)
            low = min(-((reach - begin) // step), begin // step)
            high = max((end - 1) // step + 1, -((reach - end + 1) // step) + 1)
            made = self._run(line, [self._fetched(read, low, high, values, counts, line)])
            return self._do(narrow, [made], line.axis, begin - low * step, stop - start)  # type: ignore[no-any-return]
        if line.how == "whole":
            turn = start - -(-line.cut // read.stride)
            self._early(turn < 0)
            turn = max(0, turn)
            low, high = turn * read.stride, read.between(start, stop)[1]
            high = counts[read.source] if self.ended else min(high, counts[read.source])
            made = self._run(line, [self._fetched(read, low, high, values, counts, line)])
            return self._do(narrow, [made], line.axis, start - turn, stop - start)  # type: ignore[no-any-return]
        period = len(read.phases)  # table
        begin = start // period
        earliest = min((t[0] for t in read.phases if t), default=0)
        latest = max((t[-1] for t in read.phases if t), default=0)
        turn = min(begin, begin + earliest // read.stride)
        self._early(turn < 0)
        turn = max(0, turn)
        low = turn * read.stride
        high = max(low + 1, ((stop - 1) // period) * read.stride + latest + 1)
        high = low + -(-(high - low) // read.stride) * read.stride
        if self.ended:
            high = min(high, max(counts[read.source], low + 1))
        made = self._run(line, [self._fetched(read._replace(border="zeros"), low, high, values, counts, line)])
        return self._do(narrow, [made], line.axis, start - turn * period, stop - start)  # type: ignore[no-any-return]

    def _attend(self, line: StreamedMap, start: int, stop: int, values: list[Any], counts: list[int]) -> Tensor:
        """Queries from `start` to `stop` on the keys and values that their mask leaves them."""
        query, *others = line.reads
        xs = [self._fetched(query, start, stop, values, counts, line)]
        low, high = others[0].between(start, stop)
        count = min(counts[read.source] for read in others)
        begins = others[0].begins
        self._early(low < 0 or high > count)
        if begins and self.tape is not None:
            self.tape.lost = True  # no two steps are alike
        low, high = 0 if begins else max(low, 0), min(high, count)
        xs += [self._fetched(read, low, high, values, counts, line) for read in others]
        seen = others[0].seen(range(start, stop), range(low, high)).to(xs[0].device)
        if line.learned:  # a bias by the difference of query and key
            table = self.get_parameter(line.learned)
            bias = by_offset(table, line.cut, stop - start, high - low, start, low).to(xs[0].dtype)
            seen = bias.masked_fill(~seen, -torch.inf)
        return self._do(Run(line.run, None, None, ""), xs, seen)  # type: ignore[no-any-return]

    def _fetched(
        self, read: Read, low: int, high: int, values: list[Any], counts: list[int], line: StreamedMap
    ) -> Tensor:
        """Positions from `low` to `high` of a map; beyond its ends stands what the border says."""
        axis = self.lines[read.source].axis
        if not axis:
            still: Tensor = values[read.source]
            return self._do(widened, [still], read.even, high - low) if read.even else still
        count = counts[read.source]
        held = values[read.source]
        if read.border == "zeros" or (low >= 0 and high <= count):
            inner = self._cut(held, axis, max(low, 0), max(min(high, count), low, 0))
            before, after = min(max(-low, 0), high - low), min(max(high - max(count, low), 0), high - low)
            self._early(before > 0)
            ends = [self._do(zeros, [inner], axis, n, line.fill) if n else None for n in (before, after)]
            return self._cat([t for t in (ends[0], inner, ends[1]) if t is not None], axis)
        self._early(True)
        at = torch.arange(low, high, device=held.values.device)
        if read.border == "reflect":
            at = at.abs()
            at = torch.where(at >= count, 2 * (count - 1) - at, at).clamp(min=0)
        else:
            at = at.clamp(0, count - 1)
        first = max(0, int(at.min()))
        inner = self._cut(held, axis, first, int(at.max()) + 1)
        return self._do(picked, [inner], axis, at - first)  # type: ignore[no-any-return]

    def _cut(self, held: Held, axis: int, low: int, high: int, cut: Any = narrow) -> Tensor:
        """Positions from `low` to `high`; those that were let go are zeros, and read by nobody."""
        size = held.values.shape[axis]
        first, last = (min(max(p - held.start, 0), size) for p in (low, high))
        inner = held.values
        if first or last < size or cut is piece:
            inner = self._do(cut, [inner], axis, first, last - first)
        before = max(0, min(held.start, high) - low)
        after = high - low - before - (last - first)
        parts = [self._do(zeros, [inner], axis, n) if n else None for n in (before, after)]
        return self._cat([t for t in (parts[0], inner, parts[1]) if t is not None], axis)

    def _cat(self, parts: list[Tensor], axis: int) -> Tensor:
        return parts[0] if len(parts) == 1 else self._do(cat, parts, axis)
