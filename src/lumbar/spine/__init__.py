"""Floor 2: from a volume to named levels, masks and measurements."""
