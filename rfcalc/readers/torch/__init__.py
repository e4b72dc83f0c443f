"""How a module is read: `recording` runs it, `graph` and `translate` make layers of its steps, `naming` names them.

One file a family of operators; each function registers itself for the ATen names that it understands.
"""
