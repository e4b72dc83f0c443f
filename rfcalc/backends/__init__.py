"""Adapters to frameworks, one folder each; a framework is imported only when its adapter is asked for.

`imported` is what all importers hand back; it imports no framework.
"""
