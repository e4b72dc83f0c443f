"""What to do: sizes, tiles, grids, streams, memory, design. Reads reports only, gives values; knows no framework."""
