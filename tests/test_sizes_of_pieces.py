"""Valid sizes of modules of pieces drawn at random, of one to three axes: they do at every size what is told of them.

`python tests/test_sizes_of_pieces.py FIRST LAST` tries as many as wanted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))
from random_pieces import PIECES, Run, drawn, judged  # noqa: E402


def test_every_piece_runs() -> None:
    for piece in PIECES:
        assert any(Run([(piece, k, 2)], 0, 2).at((2, 12, 12), full=True) for k in (4, 3, 2, 1)), piece.__name__


def test_pieces_are_drawn_again() -> None:
    assert drawn(7) == drawn(7) != drawn(8)


@pytest.mark.parametrize("seed", range(6))
def test_pieces(seed: int) -> None:
    assert not judged(seed, 60).startswith("WRONG")


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(100, 1100, 50))
def test_many_pieces(first: int) -> None:
    for seed in range(first, first + 50):
        told = judged(seed)
        assert not told.startswith("WRONG"), f"{seed}: {told}"


def main() -> None:
    torch.set_num_threads(1)
    for seed in range(*map(int, sys.argv[1:3])):
        print(seed, judged(seed)[:300], flush=True)


if __name__ == "__main__":
    main()
