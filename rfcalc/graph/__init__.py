"""Networks as graphs of layers; the forward walk, the memory of maps, and what PyTorch keeps for backward."""
