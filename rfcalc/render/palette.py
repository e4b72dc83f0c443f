"""The colours of pictures, light and dark."""

from __future__ import annotations

# The role of a box → its colour, light and dark; texts on it have a contrast of 4.5 : 1 at least. Families are
# also told apart by their words, so that nothing hangs on the colour alone.
FILLS = {
    "conv": ("#d6e6f5", "#1f3b57"),
    "transpose": ("#cdeff2", "#12464c"),
    "resample": ("#cdeff2", "#12464c"),
    "pool": ("#fbe3c0", "#573c12"),
    "dense": ("#cdb4e6", "#5a3d80"),
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
    # what fills memory: chosen so that the colour-blind can tell any two apart
    "weights": ("#cecece", "#505050"),
    "buffers": ("#efe027", "#423703"),
    "optimizer": ("#ed399f", "#bd088b"),
    "gradients": ("#a97e2c", "#7c4f08"),
    "kept": ("#51c9f6", "#0b2837"),
    "activations": ("#fbaf75", "#381a11"),
    "other": ("#ececec", "#33363b"),
}
INK = ("#1a1a1a", "#e8e8e8")
PAPER = ("#ffffff", "#16181c")
SOFT = ("#555555", "#b0b0b0")
MARK = ("#b3261e", "#ff8a75")  # what is seen, the worst moment
CONTOUR = ("#0b3d91", "#9cc7ff")
