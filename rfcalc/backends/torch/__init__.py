"""The PyTorch adapter. Importing it imports torch only where a function of it is called."""
