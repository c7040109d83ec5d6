"""Acquisition: place slices in the anatomy, render them, and simulate coil, k-space, noise and the scanner's grey scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.canvas import Plane
from lumbar.phantom.metal import distorted, disturbances
from lumbar.phantom.render import render_labels, render_slice
from lumbar.phantom.signal import Palette
from lumbar.phantom.sites import SeriesProtocol, Site
from lumbar.phantom.skeleton import frame_axes
from lumbar.phantom.soft import Field

Floats = NDArray[np.float32]
_ROLES = ("sagittal_t1", "sagittal_t2", "axial_t2", "axial_t1", "muscle_t2", "dixon")
_PLACES = {"sagittal_t1": 0, "sagittal_t2": 0, "axial_t2": 1, "axial_t1": 2, "muscle_t2": 2, "dixon": 2}  # series with the same number share slice positions
DISC_NAMES = ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")


@dataclass(frozen=True, eq=False)
class AcquiredSeries:
    """One acquired series: uint16 images with their planes."""

    role: str
    protocol: SeriesProtocol
    planes: tuple[Plane, ...]  # one per slice, of the reconstructed image
    block: tuple[int, ...]  # one per slice: number of its block of parallel slices
    images: NDArray[np.uint16]  # (slices, rows, columns)

    def volumes(self) -> tuple[Volume, ...]:
        """One volume per block of parallel slices."""
        found = []
        for number in sorted(set(self.block)):
            members = [k for k, block in enumerate(self.block) if block == number]
            found.append(Volume(self.images[members].astype(np.float32), grid_of([self.planes[k] for k in members])))
        return tuple(found)


def grid_of(planes: list[Plane]) -> Grid:
    """The grid of parallel planes of one size."""
    first = planes[0]
    return Grid(np.array([p.origin_mm for p in planes]), first.row_step_mm, first.column_step_mm, first.rows, first.columns)


def lay_planes(anatomy: Anatomy, protocol: SeriesProtocol, random: np.random.Generator) -> tuple[tuple[Plane, ...], tuple[int, ...]]:
    """Planes of the reconstructed images in the scanner's order: right to left, or head to foot."""
    pixel = protocol.fov_mm / protocol.matrix
    if protocol.role.startswith("sagittal"):
        axes = frame_axes(0.0, np.radians(0.6) * random.standard_normal(), np.radians(1.2) * random.standard_normal())
        middle = np.mean([anatomy.disc(name).frame.center_mm for name in DISC_NAMES], axis=0)
        middle = middle + np.array([0.8 * random.standard_normal(), 8.0 + 5 * random.standard_normal(), -4.0 + 6 * random.standard_normal()])
        return _stack(middle, axes[1] * pixel, -axes[2] * pixel, axes[0], protocol), (0,) * protocol.slices
    if not protocol.blocks:
        middle = (anatomy.disc("L1/L2").frame.center_mm + anatomy.disc("L5/S1").frame.center_mm) / 2 + np.array([0, 16.0, 0])
        axes = frame_axes(np.radians(-4.0 + 2 * random.standard_normal()), 0.0, np.radians(0.8) * random.standard_normal())
        return _stack(middle, axes[0] * pixel, axes[1] * pixel, -axes[2], protocol), (0,) * protocol.slices
    planes: list[Plane] = []
    blocks: list[int] = []
    each = np.full(5, protocol.slices // 5)
    each[: protocol.slices % 5] += 1
    for number, name in enumerate(DISC_NAMES):
        frame = anatomy.disc(name).frame
        lean = float(np.arcsin(frame.axes[2, 1])) + np.radians(2.0) * random.standard_normal()
        axes = frame_axes(lean, 0.5 * float(np.arcsin(frame.axes[2, 0])), np.radians(0.8) * random.standard_normal())
        middle = frame.center_mm + 16.0 * axes[1]
        planes += _stack(middle, axes[0] * pixel, axes[1] * pixel, -axes[2], protocol, int(each[number]))
        blocks += [number] * int(each[number])
    return tuple(planes), tuple(blocks)


def _stack(
    middle: NDArray[np.float64], column: NDArray[np.float64], row: NDArray[np.float64], normal: NDArray[np.float64], protocol: SeriesProtocol, count: int = 0
) -> tuple[Plane, ...]:
    count = count or protocol.slices
    corner = middle - (protocol.matrix - 1) / 2 * (column + row)
    steps = (np.arange(count) - (count - 1) / 2) * protocol.spacing_mm
    return tuple(Plane(corner + step * normal, row, column, protocol.matrix, protocol.matrix) for step in steps)


def measured_plane(plane: Plane, acquired: int) -> Plane:
    """The same field of view with the acquired matrix, aligned as by zero-filling."""
    ratio = plane.rows / acquired
    return Plane(plane.origin_mm, plane.row_step_mm * ratio, plane.column_step_mm * ratio, acquired, acquired)


def acquire(anatomy: Anatomy, site: Site, protocol: SeriesProtocol, scan: int = 0) -> dict[str, AcquiredSeries]:
    """Scan one series, or the water and fat series of a Dixon scan, by role; another `scan` has other slice positions and other noise."""
    place = _PLACES[protocol.role]
    planes, block = lay_planes(anatomy, protocol, np.random.default_rng([anatomy.seed, scan, place, 11]))
    random = np.random.default_rng([anatomy.seed, scan, _ROLES.index(protocol.role), 12])
    palette = Palette(protocol.sequence)
    dixon = protocol.role == "dixon"
    roles = ("dixon_water", "dixon_fat") if dixon else (protocol.role,)
    images = {role: np.empty((len(planes), protocol.matrix, protocol.matrix), dtype=np.uint16) for role in roles}
    gain = site.scale * float(random.uniform(0.85, 1.15))
    for number, plane in enumerate(planes):
        coarse = measured_plane(plane, protocol.acquired)
        water, fat = render_slice(anatomy, coarse, protocol.thickness_mm, palette, protocol.samples)
        if anatomy.implants:
            fields = disturbances(anatomy.implants, coarse, protocol.thickness_mm)
            water, fat = (distorted(pool, fields, protocol.fat_shift_pixels, protocol.frequency_axis) for pool in (water, fat))
        coil = _coil(anatomy, coarse, site, protocol)
        pools = ((water, 0 * fat), (fat, 0 * water)) if dixon else ((water, fat),)
        for role, (first, second) in zip(roles, pools, strict=True):
            images[role][number] = np.clip(_scan(first, second, coil, site, protocol, random) * gain, 0, 4095)
    return {role: AcquiredSeries(role, protocol, planes, block, array) for role, array in images.items()}


def _coil(anatomy: Anatomy, plane: Plane, site: Site, protocol: SeriesProtocol) -> Floats:
    """Sensitivity of the coil under the back: 1 at the canal, falling towards the belly and, on sagittal slices, towards head and feet."""
    field = Field(anatomy.profiles, plane, plane.whole)
    depth = -field.behind
    sensitivity = 2.0 ** (-np.clip(depth, -90, 160) / np.float32(site.coil_depth_mm))
    if protocol.role.startswith("sagittal"):
        middle = field.z - np.float32(plane.origin_mm[2] + plane.row_step_mm[2] * plane.rows / 2)
        sensitivity *= np.exp(-((np.abs(middle) / (0.60 * protocol.fov_mm)) ** 6))
    band = 1 / (1 + np.exp((field.behind + np.float32(66)) / -5.0))
    return np.asarray(sensitivity * (1 - site.saturation * (1 - band)), dtype=np.float32)


def _scan(water: Floats, fat: Floats, coil: Floats, site: Site, protocol: SeriesProtocol, random: np.random.Generator) -> Floats:
    """k-space of water and shifted fat, apodisation, noise, zero-filling to the matrix, magnitude, and coil intensity correction."""
    size, matrix = water.shape[0], protocol.matrix
    frequencies = fft.fftfreq(size).astype(np.float32)
    ramp = np.exp(-2j * np.pi * frequencies * protocol.fat_shift_pixels).astype(np.complex64)
    ramp = ramp[:, None] if protocol.frequency_axis == 0 else ramp[None, :]
    seen = coil * _edge(size)
    space = fft.fft2(water * seen) + fft.fft2(fat * seen) * ramp
    if site.ghost > 0:  # breathing and pulsation modulate the echoes between phase-encoding steps
        beat = 1 + np.float32(site.ghost) * np.cos(2 * np.pi * (np.arange(size) * float(random.uniform(0.17, 0.42)) + float(random.uniform())))
        space *= beat.astype(np.float32)[None, :] if protocol.frequency_axis == 0 else beat.astype(np.float32)[:, None]
    soft = (0.5 + 0.5 * np.cos(np.pi * np.clip((np.abs(frequencies) - 0.36) / 0.14, 0, 1))).astype(np.float32)
    noise = random.standard_normal((2, size, size), dtype=np.float32) * np.float32(site.noise * protocol.noise_share * size)
    space = (space + noise[0] + 1j * noise[1]) * (soft[:, None] * soft[None, :])
    image = np.abs(fft.ifft2(_zero_filled(space, matrix))) * np.float32((matrix / size) ** 2)
    if site.evened > 0:
        smooth = np.clip(coil, 0.05, None) ** np.float32(-site.evened)
        image *= _enlarged(smooth, matrix)
    return np.asarray(image, dtype=np.float32)


def _edge(size: int) -> Floats:
    """The receiver's filter at the borders of the field of view, which prevents ringing from one border into the other."""
    away = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    fall = np.sin(np.pi / 2 * np.clip(away / 6.0, 0, 1)) ** 2
    return np.asarray(np.outer(fall, fall), dtype=np.float32)


def _zero_filled(space: NDArray[np.complex64], matrix: int) -> NDArray[np.complex64]:
    """k-space (rows, columns) padded with zeros."""
    size, half = space.shape[0], space.shape[0] // 2
    wide = np.zeros((matrix, matrix), dtype=np.complex64)
    rest = size - half
    wide[:half, :half], wide[:half, matrix - rest :] = space[:half, :half], space[:half, half:]
    wide[matrix - rest :, :half], wide[matrix - rest :, matrix - rest :] = space[half:, :half], space[half:, half:]
    return wide


def _enlarged(smooth: Floats, matrix: int) -> Floats:
    """A smooth field upsampled by nearest neighbour."""
    index = np.minimum((np.arange(matrix) * smooth.shape[0] / matrix).astype(int), smooth.shape[0] - 1)
    return smooth[index[:, None], index[None, :]]


def label_images(anatomy: Anatomy, series: AcquiredSeries) -> NDArray[np.uint8]:
    """(slices, rows, columns) labels of the series, in its own grid."""
    return np.stack([render_labels(anatomy, plane) for plane in series.planes])
