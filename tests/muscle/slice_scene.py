"""A synthetic axial training slice. Needs PyTorch."""

import numpy as np

from lumbar.muscle.learn.axial_slice import AxialSlice


def example():
    """Water 0.7 in muscle, pure fat elsewhere; each muscle carries its label."""
    labels = np.zeros((200, 260), np.uint8)
    for label, low in ((1, 60), (2, 100), (3, 135), (4, 165)):
        labels[90:140, low : low + 30] = label
    muscle = labels > 0
    return AxialSlice("a", np.where(muscle, 0.7, 0.05).astype(np.float32), np.where(muscle, 0.05, 1.2).astype(np.float32), labels, 1.0)
