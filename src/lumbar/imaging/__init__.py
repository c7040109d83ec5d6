"""Floor 1: arrays and volumes in, arrays and volumes out."""
