"""Frameworks: a folder each, loaded only when it is asked for; none imports another, nothing below imports one.

`imported` is what all importers hand back; it imports no framework.
"""
