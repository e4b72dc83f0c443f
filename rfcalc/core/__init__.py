"""The algebra of layers: sizes, shapes, costs, windows, expressions, and what a kind is. Imports nothing foreign."""
