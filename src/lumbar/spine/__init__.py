"""Spine: named levels, masks and measurements of a volume."""
