"""Names of the parts of a lumbar spine, and their written forms."""

from enum import Enum, IntEnum


class Vertebra(Enum):
    """A vertebra by its shown name, from head to foot."""

    T8 = "T8"
    T9 = "T9"
    T10 = "T10"
    T11 = "T11"
    T12 = "T12"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"
    L5 = "L5"
    S1 = "S1"


LUMBAR = (Vertebra.L1, Vertebra.L2, Vertebra.L3, Vertebra.L4, Vertebra.L5)


class Level(Enum):
    """A lumbar disc level by its shown name, from head to foot."""

    L1_L2 = "L1/L2"
    L2_L3 = "L2/L3"
    L3_L4 = "L3/L4"
    L4_L5 = "L4/L5"
    L5_S1 = "L5/S1"

    @property
    def slug(self) -> str:
        """The form of tables and file names: `l4_l5`."""
        return self.name.lower()

    @property
    def upper(self) -> Vertebra:
        """The vertebra above the disc."""
        return Vertebra(self.value.split("/")[0])

    @property
    def lower(self) -> Vertebra:
        """The vertebra below the disc."""
        return Vertebra(self.value.split("/")[1])


class Side(Enum):
    """The patient's side."""

    LEFT = "left"
    RIGHT = "right"


class Condition(Enum):
    """The five graded conditions, by the slugs of the RSNA 2024 data set."""

    SPINAL_CANAL_STENOSIS = "spinal_canal_stenosis"
    LEFT_NEURAL_FORAMINAL_NARROWING = "left_neural_foraminal_narrowing"
    RIGHT_NEURAL_FORAMINAL_NARROWING = "right_neural_foraminal_narrowing"
    LEFT_SUBARTICULAR_STENOSIS = "left_subarticular_stenosis"
    RIGHT_SUBARTICULAR_STENOSIS = "right_subarticular_stenosis"


class Severity(Enum):
    """The three grades of a condition, by the slugs of a submission's columns."""

    NORMAL_MILD = "normal_mild"
    MODERATE = "moderate"
    SEVERE = "severe"


class Muscle(Enum):
    """Paraspinal muscles."""

    ERECTOR_SPINAE = "erector_spinae"
    MULTIFIDUS = "multifidus"
    PSOAS = "psoas"
    QUADRATUS_LUMBORUM = "quadratus_lumborum"


class SpineClass(IntEnum):
    """Classes of the spine network in a sagittal image."""

    BACKGROUND = 0
    BODY = 1  # vertebral body
    POSTERIOR = 2  # posterior elements of a vertebra
    DISC = 3
    CANAL = 4
    SACRUM = 5  # the upper strip of S1, which anchors the level names


class AddedClass(IntEnum):
    """Classes that a spine network may have in addition to `SpineClass`, by the names on its card; 0 is none of them. They are learned from phantoms."""

    S1_BELOW_STRIP = 1  # the body of S1 below the strip `SpineClass.SACRUM`
    S2 = 2  # the body of S2
    NEURAL_FORAMEN = 3  # enclosed by pedicles, column and facets in a sagittal slice
