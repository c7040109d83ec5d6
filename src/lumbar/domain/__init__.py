"""Floor 0: what the other floors talk about. Numpy and the standard library only."""
