"""The dural sac in axial T2 slices: outlined by a network of its own, measured at each disc level."""
