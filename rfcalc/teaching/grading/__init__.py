"""Marking what students hand in: tables of figures, row by row from their own numbers, and designs against bounds.

What is handed in is text of strangers: it is read within limits, never run, and escaped wherever it is shown.
"""
