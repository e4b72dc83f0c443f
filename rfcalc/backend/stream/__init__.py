"""Streams in PyTorch: a network that takes its input in chunks (`to_stream`), as a module and as source."""

from rfcalc.backend.stream.build import to_stream

__all__ = ["to_stream"]
