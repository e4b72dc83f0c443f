"""The symbolic view on sympy."""
