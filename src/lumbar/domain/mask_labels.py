"""Values of masks: levels.nii.gz names discs 1 to 5 and vertebral bodies 11 to 15, both from head to foot; structures.nii.gz holds `Structure` and foramina."""

from enum import IntEnum

from lumbar.domain.anatomy import LUMBAR, Level, Side

DISC_LABELS = {level: number for number, level in enumerate(Level, start=1)}
BODY_LABELS = {vertebra: number for number, vertebra in enumerate(LUMBAR, start=11)}
LABEL_NAMES = {number: place.value for place, number in (*DISC_LABELS.items(), *BODY_LABELS.items())}  # 1: "L1/L2", 11: "L1"


class Structure(IntEnum):
    """Values of structures.nii.gz, besides `FORAMEN_LABELS`."""

    VERTEBRAL_BODY = 1
    POSTERIOR_ELEMENTS = 2
    DISC = 3
    CANAL = 4
    S1 = 5
    S2 = 6


# Neural foramina in structures.nii.gz: 21 to 25 on the patient's left, 31 to 35 on the right, from L1/L2 to L5/S1.
FORAMEN_LABELS = {(level, side): first + number for first, side in ((21, Side.LEFT), (31, Side.RIGHT)) for number, level in enumerate(Level)}
