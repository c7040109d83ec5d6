"""Training slices cut from phantoms: varied bodies, ages and fat, with exact labels."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.muscle.labels import BACK, LABELS, VERTEBRA
from lumbar.muscle.learn.axial_slice import MUSCLE_GREY, AxialSlice, FloatImage
from lumbar.muscle.learn.phantom_back import with_other_back
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.canvas import Plane
from lumbar.phantom.labels import BODY, DISC, MUSCLE
from lumbar.phantom.population import sample_person
from lumbar.phantom.render import render_labels, render_slice
from lumbar.phantom.signal import Palette, Sequence

_CLOSED = 0.6  # share of slices without a visible border between multifidus and erector spinae, as in lean people on Dixon water
_OTHER_BACK = 0.5  # share of people with a random back; the others have that of the phantom, which is used for evaluation
_ROWS, _COLUMNS = 220, 300  # at 1 mm: from in front of the spine to behind the skin, and the whole back


def phantom_slices(seed: int, count: int) -> list[AxialSlice]:
    """`count` slices of the person of `seed`, at random heights from L1/L2 to L5/S1, tilted as in scans, with water and fat signals of Dixon, T1 and T2."""
    rng = np.random.default_rng([seed, 515])
    person = sample_person(seed)
    anatomy = build_anatomy(person, person_degeneration(person))
    if rng.random() < _OTHER_BACK:
        anatomy = with_other_back(anatomy, rng)
    return [_one(anatomy, f"phantom {seed}", rng) for _ in range(count)]


def _one(anatomy: Anatomy, name: str, rng: Generator) -> AxialSlice:
    plane = _plane(anatomy, rng)
    palette = Palette(_sequence(rng))
    water, fat = render_slice(anatomy, plane, 4.0, palette, 1)
    painted = render_labels(anatomy, plane)
    labels = np.zeros(painted.shape, np.uint8)
    for label, (muscle, side) in LABELS.items():
        labels[painted == MUSCLE[muscle.value, side.value]] = label
    labels[np.isin(painted, (*BODY.values(), *DISC.values()))] = VERTEBRA
    if rng.random() < _CLOSED:
        water, fat = _close_seams(water, fat, labels)
    scale = np.float32(MUSCLE_GREY / palette["muscle"][0])
    return AxialSlice(name, np.asarray(water * scale, np.float32), np.asarray(fat * scale, np.float32), labels, 1.0)


def _close_seams(water: FloatImage, fat: FloatImage, labels: NDArray[np.uint8]) -> tuple[FloatImage, FloatImage]:
    """Both images with muscle in place of the phantom's layer of fat between the two muscles of a side."""
    seam = np.zeros(labels.shape, bool)
    for inner, outer in ((2, 1), (3, 4)):
        seam |= ndimage.binary_dilation(labels == inner, iterations=3) & ndimage.binary_dilation(labels == outer, iterations=3)
    source = (np.isin(labels, BACK) & ~seam).astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(source, 2.0), 1e-3)
    soft = ndimage.gaussian_filter(seam.astype(np.float32), 0.6)
    return tuple(np.asarray(p * (1 - soft) + soft * ndimage.gaussian_filter(p * source, 2.0) / weight, np.float32) for p in (water, fat))  # type: ignore[return-value]


def _sequence(rng: Generator) -> Sequence:
    tesla = float(rng.choice([1.5, 3.0]))
    kind = rng.random()
    if kind < 0.4:
        return Sequence("dixon", float(rng.uniform(6, 12)), float(rng.uniform(1.2, 3.0)), flip_degrees=float(rng.uniform(3, 15)), tesla=tesla)
    if kind < 0.6:
        return Sequence("tse", float(rng.uniform(450, 800)), 10.0, echo_train=3, tesla=tesla)
    return Sequence("tse", float(rng.uniform(3000, 5000)), float(rng.uniform(70, 120)), echo_train=17, tesla=tesla)


def _plane(anatomy: Anatomy, rng: Generator) -> Plane:
    top, bottom = anatomy.disc("L1/L2").frame, anatomy.disc("L5/S1").frame
    share = rng.uniform(-0.04, 1.04)
    middle = (1 - share) * top.center_mm + share * bottom.center_mm
    # Blocks are tilted with the disc, stacks are not: anything between flat and the tilt of the nearest disc occurs.
    nearest = min(anatomy.discs, key=lambda disc: abs(float(disc.frame.center_mm[2] - middle[2])))
    lean = float(np.arcsin(np.clip(nearest.frame.axes[2, 1], -1, 1))) * rng.choice([0.0, rng.uniform(0, 1)])
    row = np.array([0.0, np.cos(lean), -np.sin(lean)])
    column = np.array([1.0, 0.0, 0.0])
    x, y = (anatomy.profiles.at(f"canal_{axis}", float(middle[2])) for axis in "xy")
    origin = np.array([x, y, middle[2]]) - (_COLUMNS / 2) * column - 110.0 * row
    return Plane(origin, row, column, _ROWS, _COLUMNS)
