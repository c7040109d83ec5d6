"""The numbers of muscle masks: 1 to 4 as in the LPM data, psoas and vertebral body as in `muscle_t2`; sides are the patient's."""

from lumbar.domain.anatomy import Muscle, Side

LABELS: dict[int, tuple[Muscle, Side]] = {
    1: (Muscle.ERECTOR_SPINAE, Side.RIGHT),
    2: (Muscle.MULTIFIDUS, Side.RIGHT),
    3: (Muscle.MULTIFIDUS, Side.LEFT),
    4: (Muscle.ERECTOR_SPINAE, Side.LEFT),
    5: (Muscle.PSOAS, Side.RIGHT),
    6: (Muscle.PSOAS, Side.LEFT),
}
BACK = (1, 2, 3, 4)  # the muscles that every model and every data set labels
PSOAS_RIGHT, PSOAS_LEFT = 5, 6
VERTEBRA = 7  # the vertebral body, or the disc, where the slice crosses it
MASK_LABELS = (*LABELS, VERTEBRA)  # everything but background that a mask of the product or of a reader may hold
MIRRORED = (0, 4, 3, 2, 1, 6, 5, 7)  # the label of a mirrored image, by the label of the image


def label_name(label: int) -> str:
    """ "right erector spinae", "vertebral body or disc"."""
    if label == VERTEBRA:
        return "vertebral body or disc"
    muscle, side = LABELS[label]
    return f"{side.value} {muscle.value.replace('_', ' ')}"
