"""Receptive fields: as values, by both walks, of single units, and weighted by influence."""
