"""Colours of structures: the same in the report, in the viewer and in DICOM objects."""

from lumbar.domain.anatomy import Muscle

BODY_COLORS = ("#7fd1ae", "#5cb491")  # neighbours differ where each has a number of its own
DISC_COLORS = ("#f2b45c", "#de9634")
CANAL_COLOR = "#6db3f2"
POSTERIOR_COLOR = "#3f8f73"
SACRUM_COLORS = ("#c9a0dc", "#a377bd")  # S1, S2
FORAMEN_COLORS = ("#f27d72", "#d95a50")  # neighbours differ
MUSCLE_COLORS = {Muscle.ERECTOR_SPINAE: "#f28cb1", Muscle.MULTIFIDUS: "#b39df2", Muscle.PSOAS: "#8cc878", Muscle.QUADRATUS_LUMBORUM: "#dcc86e"}
AXIAL_BODY_COLOR = "#9aa4ad"  # the vertebral body, or the disc, in an axial slice


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of "#7fd1ae"."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
