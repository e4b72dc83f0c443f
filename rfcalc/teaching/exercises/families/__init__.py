"""The families of questions: a file (or two) for each."""
