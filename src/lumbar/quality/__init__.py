"""Checks of a study and of a result."""
