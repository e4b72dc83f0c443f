"""Exercises, the quiz and the grading of answers. The rest of the package does not know this folder."""
