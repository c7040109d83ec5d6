"""Structures of one spine in patient millimetres (LPS, origin near the middle of L3), from which images and ground truth are derived."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

VERTEBRAE = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "S1", "S2", "S3", "S4", "S5")
DISCS = tuple(f"{upper}/{lower}" for upper, lower in pairwise(VERTEBRAE))
SIDES = (1.0, -1.0)  # left (towards +x), right


@dataclass(frozen=True, eq=False)
class Frame:
    """An origin and three orthonormal axes; local coordinates are (u, v, w) = (left, back, up)."""

    center_mm: Floats  # (3,)
    axes: Floats  # (3, 3): rows are the directions of u, v and w

    def to_world(self, local_mm: Floats) -> Floats:
        """LPS points (..., 3) of local points (..., 3)."""
        return np.asarray(self.center_mm + np.asarray(local_mm) @ self.axes)

    def to_local(self, points_mm: Floats) -> Floats:
        """Local points (..., 3) of LPS points (..., 3)."""
        return np.asarray((np.asarray(points_mm) - self.center_mm) @ self.axes.T)


@dataclass(frozen=True, eq=False)
class Vertebra:
    """A vertebral body with its posterior elements; its frame sits in the middle of the body."""

    name: str
    frame: Frame
    half_width_mm: float
    half_depth_mm: float
    height_mm: float  # midway between the rims
    wedge: float  # (front − back height) / depth
    taper: float  # relative widening of the upper and narrowing of the lower endplate against the middle
    slant: float  # posterior slope of its walls towards the foot, mm per mm
    concavity_mm: tuple[float, float]  # depth of the upper and lower endplate below their rim
    waist_mm: float  # depth of the waist at half height
    lip_mm: tuple[float, float]  # osteophytes at the upper and lower rim
    canal_depth_mm: float  # front to back, bony
    pedicle_mm: tuple[float, float]  # lateral position of its axis, half width
    spinous_mm: tuple[float, float, float]  # length, height, droop of the spinous process
    marrow_fat: float  # mean fat share of the marrow
    modic: tuple[int, int]  # Modic type of the upper and lower endplate, 0 for none
    schmorl_mm: tuple[float, float]  # depth of a node in the upper and lower endplate


@dataclass(frozen=True, eq=False)
class FacetJoint:
    """A facet joint: an ellipsoid cut by the joint's surface. u of its frame points to the superior process, v along the surface, w up."""

    frame: Frame
    half_mm: tuple[float, float, float]
    gap_mm: float  # between the two bones


@dataclass(frozen=True, eq=False)
class Disc:
    """An intervertebral disc; w of its frame is the normal of its mid-plane."""

    name: str
    frame: Frame
    half_width_mm: float
    half_depth_mm: float
    height_mm: tuple[float, float]  # front, back, between the rims
    degeneration: float  # 0 young … 1 severely degenerated
    pfirrmann_grade: int
    bulge_mm: float  # all around
    central_mm: float  # backwards in the midline
    paracentral_mm: tuple[float, float]  # left, right: into the lateral recess
    foraminal_mm: tuple[float, float]  # left, right: into the foramen
    node_mm: tuple[float, float]  # depth of its Schmorl's nodes in the vertebra above and below
    extrusion_mm: float  # length of a herniation below the disc
    joints: tuple[FacetJoint, ...]  # left, right

    @property
    def middle_height_mm(self) -> float:
        """Mean of front and back height."""
        return sum(self.height_mm) / 2


@dataclass(frozen=True, eq=False)
class Profiles:
    """Quantities that vary along the body's long axis, tabulated every `step_mm` of z from `start_mm` upwards."""

    start_mm: float
    step_mm: float
    tables: dict[str, NDArray[np.float32]]

    def index(self, z_mm: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
        """Row of the tables for each z; beyond the ends the last row."""
        rows = np.multiply(z_mm, np.float32(1 / self.step_mm))
        rows -= np.float32(self.start_mm / self.step_mm)
        np.clip(rows, 0, len(next(iter(self.tables.values()))) - 1, out=rows)
        return rows.astype(np.int32)

    def at(self, name: str, z_mm: float) -> float:
        """One number, interpolated."""
        table = self.tables[name]
        return float(np.interp(z_mm, self.start_mm + self.step_mm * np.arange(len(table)), table))

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self.tables[name]


@dataclass(frozen=True)
class Blob:
    """An ellipsoid in the abdomen: an organ, a loop of bowel, or a vessel."""

    center_mm: tuple[float, float, float]
    half_mm: tuple[float, float, float]
    tissue: str


@dataclass(frozen=True, eq=False)
class Implant:
    """A metal rod with round ends: the shank of a screw, a connecting rod, half a cage."""

    ends_mm: Floats  # (2, 3)
    radius_mm: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """All structures of one person."""

    seed: int
    vertebrae: tuple[Vertebra, ...]
    discs: tuple[Disc, ...]
    profiles: Profiles  # of canal, muscles, vessels and skin, along z
    muscle_boxes_mm: dict[tuple[str, str], Floats]  # by muscle and side: bounding points, so that planes that miss it are skipped
    vessel_box_mm: Floats  # likewise around the great vessels
    midline_box_mm: Floats  # around the spinous processes
    canal_box_mm: Floats  # along the canal's axis
    blobs: tuple[Blob, ...]
    conus_tip_mm: float  # z of the end of the cord
    sac_end_mm: float  # z of the end of the dural sac
    roots: NDArray[np.float32]  # (roots, 2, rows of the profiles): position of each root in the sac; 99 below its exit
    narrowing: NDArray[np.float64]  # (5 conditions, 5 levels), latent, 0 … 1
    implants: tuple[Implant, ...] = ()

    def vertebra(self, name: str) -> Vertebra:
        """The vertebra called `name`."""
        return next(v for v in self.vertebrae if v.name == name)

    def disc(self, name: str) -> Disc:
        """The disc called `name`, such as "L4/L5"."""
        return next(d for d in self.discs if d.name == name)
