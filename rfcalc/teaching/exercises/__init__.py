"""Exercises with keys that are right: what is asked, what goes wrong, and how it is written down for courses."""
