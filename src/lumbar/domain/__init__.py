"""Floor 0: the types that all other floors share. Numpy and the standard library only."""
