"""The colours of pictures, light and dark."""

from __future__ import annotations

# The role of a box → its colour, light and dark; texts on it have a contrast of 4.5 : 1 at least. Families are
# also told apart by their words, so that nothing hangs on the colour alone.
FILLS = {
    "conv": ("#d6e6f5", "#1f3b57"),
    "transpose": ("#cdeff2", "#12464c"),
    "resample": ("#cdeff2", "#12464c"),
    "pool": ("#fbe3c0", "#573c12"),
    "dense": ("#e6dcf0", "#43305a"),
    "recurrent": ("#f3f0b8", "#4a4715"),
    "attention": ("#f7d9e6", "#572b40"),
    "merge": ("#d5efe2", "#17463a"),
    "input": ("#ffffff", "#16181c"),
    "unknown": ("#ffd9d2", "#5c1f17"),
    "unseen": ("#ffd9d2", "#5c1f17"),
    "band": ("#f0f4f8", "#2b3540"),
    "map": ("#ffffff", "#16181c"),
    "halo": ("#fbe3c0", "#573c12"),
    "write": ("#8cc4ef", "#1d5a7c"),
    "bubble": ("#bcd9f2", "#27527a"),
    # what fills memory: lighter and darker colours of Okabe and Ito's set, which the colour-blind can tell apart
    "weights": ("#c9c9c9", "#4a4a4a"),
    "buffers": ("#f0e442", "#5c5700"),
    "optimizer": ("#cc79a7", "#7a3f60"),
    "gradients": ("#e69f00", "#7a5200"),
    "kept": ("#56b4e9", "#1d5a7c"),
    "activations": ("#d9763c", "#7f3800"),
    "other": ("#ececec", "#33363b"),
}
INK = ("#1a1a1a", "#e8e8e8")
PAPER = ("#ffffff", "#16181c")
SOFT = ("#555555", "#b0b0b0")
MARK = ("#b3261e", "#ff8a75")  # what is seen, the worst moment
CONTOUR = ("#0b3d91", "#9cc7ff")
