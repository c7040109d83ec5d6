"""Nine simulated sites, which differ in scanner, matrix, slice placement, noise and grey scale."""

from dataclasses import dataclass, replace

from lumbar.phantom.signal import Sequence


@dataclass(frozen=True)
class SeriesProtocol:
    """One series as a site acquires it."""

    role: str  # sagittal_t1, sagittal_t2, axial_t2, axial_t1, muscle_t2 (axial, the whole back), dixon
    sequence: Sequence
    matrix: int  # pixels of the image along one edge
    acquired: int  # acquired pixels; the rest is zero-filling
    fov_mm: float
    slices: int
    thickness_mm: float
    spacing_mm: float  # between the middles of slices
    blocks: bool = False  # axial only: one tilted block per disc instead of one stack
    frequency_axis: int = 1  # 0: rows, 1: columns; fat is shifted along it
    fat_shift_pixels: float = 1.0  # chemical shift
    samples: int = 3  # planes averaged over the thickness
    noise_share: float = 1.0  # relative to the site's noise: lower where many echoes are combined


@dataclass(frozen=True)
class Site:
    """A scanner and its image characteristics."""

    name: str
    tesla: float
    series: tuple[SeriesProtocol, ...]
    noise: float  # standard deviation of the noise near the coil, in units of CSF in T2
    coil_depth_mm: float  # depth at which the coil sensitivity is one half
    evened: float  # degree of coil intensity correction, 0 to 1
    saturation: float  # effect of the anterior saturation band, 0 to 1
    scale: float  # grey value of a signal of 1
    ghost: float = 0.02  # strength of motion ghosts along the phase direction


def _t1(tesla: float, matrix: int, acquired: int, fov_mm: float, slices: int, tr_ms: float, spacing: tuple[float, float]) -> SeriesProtocol:
    sequence = Sequence("tse", tr_ms, 10.0, echo_train=3, tesla=tesla)
    return SeriesProtocol("sagittal_t1", sequence, matrix, acquired, fov_mm, slices, *spacing, fat_shift_pixels=1.1, frequency_axis=0)


def _t2(tesla: float, matrix: int, acquired: int, fov_mm: float, slices: int, kind: str, spacing: tuple[float, float]) -> SeriesProtocol:
    if kind == "stir":
        sequence = Sequence("stir", 4200.0, 54.0, ti_ms=180.0 if tesla < 2 else 230.0, echo_train=9, tesla=tesla)
    elif kind == "space":
        sequence = Sequence("space", 2000.0, 250.0, echo_train=60, tesla=tesla)
    else:
        sequence = Sequence("tse", 3400.0, 102.0, echo_train=17, tesla=tesla)
    return SeriesProtocol("sagittal_t2", sequence, matrix, acquired, fov_mm, slices, *spacing, frequency_axis=0)


def _axial(tesla: float, matrix: int, acquired: int, fov_mm: float, slices: int, blocks: bool, spacing: tuple[float, float]) -> SeriesProtocol:
    sequence = Sequence("tse", 4200.0, 108.0, echo_train=17, tesla=tesla)
    return SeriesProtocol("axial_t2", sequence, matrix, acquired, fov_mm, slices, *spacing, blocks=blocks, fat_shift_pixels=0.8, samples=2)


SITES: tuple[Site, ...] = (
    Site(
        "A",
        1.5,
        (_t1(1.5, 512, 320, 300, 18, 580, (4.0, 4.4)), _t2(1.5, 448, 320, 300, 18, "tse", (4.0, 4.4)), _axial(1.5, 320, 256, 190, 40, True, (4.0, 4.4))),
        0.009,
        70,
        0.35,
        0.9,
        900,
    ),
    Site(
        "B",
        1.5,
        (_t1(1.5, 512, 320, 350, 18, 520, (4.0, 4.48)), _t2(1.5, 448, 300, 260, 18, "stir", (4.0, 4.48)), _axial(1.5, 320, 256, 160, 40, True, (3.5, 3.6))),
        0.01,
        60,
        0.2,
        0.9,
        1300,
    ),
    Site(
        "C",
        3.0,
        (_t1(3.0, 512, 352, 280, 17, 650, (3.5, 3.9)), _t2(3.0, 512, 352, 280, 17, "tse", (3.5, 3.9)), _axial(3.0, 384, 288, 200, 36, False, (4.0, 4.4))),
        0.007,
        70,
        0.45,
        0.85,
        1100,
    ),
    Site(
        "D",
        3.0,
        (_t1(3.0, 448, 320, 320, 15, 700, (4.0, 4.8)), _t2(3.0, 448, 320, 320, 15, "tse", (4.0, 4.8)), _axial(3.0, 320, 240, 180, 30, True, (4.0, 4.4))),
        0.007,
        80,
        0.6,
        0.75,
        620,
    ),
    Site(
        "E",
        1.5,
        (_t1(1.5, 384, 288, 280, 15, 480, (4.0, 4.4)), _t2(1.5, 384, 288, 280, 15, "tse", (4.0, 4.4)), _axial(1.5, 256, 224, 180, 25, True, (4.0, 4.4))),
        0.013,
        75,
        0.5,
        0.7,
        500,
    ),
    Site(
        "F",
        1.5,
        (_t1(1.5, 512, 288, 320, 17, 600, (4.0, 4.4)), _t2(1.5, 512, 288, 320, 17, "space", (4.0, 4.4)), _axial(1.5, 512, 256, 220, 32, False, (4.0, 4.6))),
        0.01,
        85,
        0.6,
        0.75,
        780,
    ),
    Site(
        "G",
        3.0,
        (_t1(3.0, 640, 384, 300, 19, 720, (3.0, 3.3)), _t2(3.0, 640, 384, 300, 19, "tse", (3.0, 3.3)), _axial(3.0, 448, 320, 190, 40, True, (3.0, 3.5))),
        0.008,
        60,
        0.3,
        0.92,
        2200,
    ),
    Site(
        "H",
        1.5,
        (_t1(1.5, 320, 256, 280, 13, 450, (5.0, 5.5)), _t2(1.5, 320, 256, 280, 13, "tse", (5.0, 5.5)), _axial(1.5, 256, 192, 200, 24, False, (5.0, 5.5))),
        0.015,
        95,
        0.75,
        0.55,
        340,
    ),
    Site(
        "I",
        3.0,
        (_t1(3.0, 512, 320, 300, 18, 640, (3.5, 4.0)), _t2(3.0, 512, 352, 300, 18, "stir", (3.5, 4.0)), _axial(3.0, 384, 288, 180, 40, True, (3.5, 3.9))),
        0.008,
        65,
        0.4,
        0.9,
        1500,
    ),
)


def muscle_protocols(place: Site) -> tuple[SeriesProtocol, ...]:
    """Axial T1, T2 and Dixon of one site over the muscles from L1 to S1, all with the same slices."""
    number = SITES.index(place)
    matrix, acquired = ((256, 224), (320, 256), (400, 272))[number % 3]
    fov_mm = (320.0, 360.0, 400.0)[number // 3]
    common = {"matrix": matrix, "acquired": acquired, "fov_mm": fov_mm, "slices": 40 + number % 3, "thickness_mm": 4.0, "spacing_mm": 4.0 + 0.2 * (number % 2)}
    t1, t2 = Sequence("tse", 600.0, 11.0, echo_train=3, tesla=place.tesla), Sequence("tse", 4000.0, 95.0, echo_train=15, tesla=place.tesla)
    dixon = Sequence("dixon", 20.0, 2.4, flip_degrees=1.0, tesla=place.tesla)  # small enough that T1 hardly biases the fat fraction
    return (
        SeriesProtocol("axial_t1", t1, **common),  # type: ignore[arg-type]
        SeriesProtocol("muscle_t2", t2, **common),  # type: ignore[arg-type]
        SeriesProtocol("dixon", dixon, **common, fat_shift_pixels=0.0, samples=2, noise_share=0.4),  # type: ignore[arg-type]
    )


def coarser(protocol: SeriesProtocol, scale: float) -> SeriesProtocol:
    """The same series at `scale` of its matrix and over the same field of view; noise as after averaging neighbouring pixels."""
    if scale == 1:
        return protocol
    matrix, acquired = (2 * round(pixels * scale / 2) for pixels in (protocol.matrix, protocol.acquired))
    shift = protocol.fat_shift_pixels * acquired / protocol.acquired
    return replace(protocol, matrix=matrix, acquired=acquired, fat_shift_pixels=shift, noise_share=protocol.noise_share * scale)


def site(name: str) -> Site:
    """The site of that letter."""
    return next(s for s in SITES if s.name == name)
