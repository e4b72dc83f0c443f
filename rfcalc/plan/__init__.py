"""What to do with a network: streams, sizes, tiles; framework-free values that follow from the index relations."""
