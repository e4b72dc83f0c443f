"""What lives now, item by item, in amounts that are affine in the batch; gradients of maps that share memory."""

from __future__ import annotations

from typing import NamedTuple


class Amount(NamedTuple):
    """Bytes: `fixed`, and `each` for every item of the batch."""

    fixed: int = 0
    each: int = 0

    def __add__(self, other: tuple[int, ...]) -> Amount:  # type: ignore[override]
        return Amount(self.fixed + other[0], self.each + other[1])

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.fixed - other.fixed, self.each - other.each)

    def at(self, batch: int) -> int:
        """Bytes for this batch."""
        return self.fixed + self.each * batch


NONE = Amount()


class Item(NamedTuple):
    """Something that takes memory: its term of the sum, and the node that it belongs to ("" for the whole network)."""

    term: str
    node: str


class Moment(NamedTuple):
    """What lives while a node runs forward or backward, in all; the node's position and name."""

    position: int
    node: str
    phase: str
    amount: Amount


class Precision(NamedTuple):
    """Bytes of a value: in maps, in weights and statistics; and in what mixed precision copies them to (0: none)."""

    maps: int
    weights: int
    copies: int = 0


class Account:
    """What lives now, by item; the sum is kept up to date."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, int | str], tuple[Item, Amount]] = {}
        self.total = NONE

    def add(self, key: tuple[str, int | str], item: Item, amount: Amount) -> None:
        """Something begins to live; nothing happens if it lives already."""
        if key not in self.items and amount != NONE:
            self.items[key] = (item, amount)
            self.total = self.total + amount

    def drop(self, key: tuple[str, int | str]) -> None:
        """Something ends."""
        found = self.items.pop(key, None)
        if found is not None:
            self.total = self.total - found[1]

    def listed(self) -> list[tuple[Item, Amount]]:
        """What lives, as it is."""
        return list(self.items.values())


class Gradients:
    """The gradients of maps: whose memory each lives in, and how often that memory is in use."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._uses: list[int] = []
        self._of: dict[int, int] = {}

    def made(self, node: str, amount: Amount) -> int:
        """New memory for a gradient, in use once."""
        memory = len(self._uses)
        self._uses.append(1)
        self._account.add(("gradient", memory), Item("activations", f"gradient of {node}"), amount)
        return memory

    def amount(self, memory: int) -> Amount:
        """The bytes of a memory."""
        return self._account.items[("gradient", memory)][1]

    def hold(self, memory: int) -> int:
        """The memory is in use once more."""
        self._uses[memory] += 1
        return memory

    def free(self, memory: int) -> None:
        """The memory is in use once less; it ends with its last use."""
        self._uses[memory] -= 1
        if not self._uses[memory]:
            self._account.drop(("gradient", memory))

    def receive(self, position: int, memory: int) -> int:
        """The gradient of a position lives in this memory."""
        self._of[position] = memory
        return memory

    def of(self, position: int) -> int | None:
        """The memory of a position's gradient, if it has one yet."""
        return self._of.get(position)
