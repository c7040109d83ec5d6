"""lumbar: the open toolkit for lumbar-spine MRI (research use only, not a medical device)."""

__version__ = "0.1.0"
