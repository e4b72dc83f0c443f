"""Networks side by side: exact ratios, what differs layer by layer, a family's own pairings, stacks that see as much.

>>> from rfcalc.comparison.comparison import compare
>>> compare("conv3-64 x2", "conv5-64", input="64x32x32")["weights"].against[0].ratio
Fraction(18, 25)
"""
