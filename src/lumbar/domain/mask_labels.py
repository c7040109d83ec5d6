"""Values of masks that name the levels (levels.nii.gz): discs 1 to 5, vertebral bodies 11 to 15, both from head to foot."""

from lumbar.domain.anatomy import LUMBAR, Level

DISC_LABELS = {level: number for number, level in enumerate(Level, start=1)}
BODY_LABELS = {vertebra: number for number, vertebra in enumerate(LUMBAR, start=11)}
LABEL_NAMES = {number: place.value for place, number in (*DISC_LABELS.items(), *BODY_LABELS.items())}  # 1: "L1/L2", 11: "L1"
