"""Label values of muscle masks, as in the LPM data; sides are the patient's."""

from lumbar.domain.anatomy import Muscle, Side

LABELS: dict[int, tuple[Muscle, Side]] = {
    1: (Muscle.ERECTOR_SPINAE, Side.RIGHT),
    2: (Muscle.MULTIFIDUS, Side.RIGHT),
    3: (Muscle.MULTIFIDUS, Side.LEFT),
    4: (Muscle.ERECTOR_SPINAE, Side.LEFT),
}
MIRRORED = (0, 4, 3, 2, 1)  # the label of a mirrored image, by the label of the image
