"""One synthetic study from a seed, in memory and on disk."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.volume import Volume
from lumbar.io.dicom_write import SeriesHeader, SliceImage, StudyHeader, derived_uid, write_slice
from lumbar.io.nifti import write_nifti
from lumbar.phantom.acquire import AcquiredSeries, acquire, grid_of, label_images
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.degeneration import Degeneration
from lumbar.phantom.population import Person, sample_person
from lumbar.phantom.sites import SITES, SeriesProtocol, Site, coarser, muscle_protocols, site
from lumbar.phantom.truth import coordinates, truth_document

ROLES = ("sagittal_t1", "sagittal_t2", "axial_t2")
MUSCLE_ROLES = ("axial_t1", "muscle_t2", "dixon")
MATRIX_SCALES = (0.25, 1.0)  # least and most


@dataclass(frozen=True)
class StudyOptions:
    """Options of one synthetic study."""

    seed: int  # determines all that is not given
    age_years: float | None = None  # drawn if None
    sex: str | None = None  # "F" or "M"; drawn if None
    site: str | None = None  # "A" … "I"; drawn if None
    roles: tuple[str, ...] = ROLES  # of ROLES and MUSCLE_ROLES
    variant: str = "none"  # one of `population.VARIANTS`
    stages_years: tuple[float, ...] = ()  # simulated ages of accelerated degeneration
    scan: int = 0  # number of the scan of the same person
    metal: bool = False  # screws, rods and a cage at L4 and L5
    matrix_scale: float = 1.0  # matrix of every series in relation to the site's, over the same field of view


@dataclass(frozen=True, eq=False)
class PhantomStudy:
    """A synthetic patient and the acquired series."""

    options: StudyOptions
    person: Person
    degeneration: Degeneration
    anatomy: Anatomy
    site: Site
    series: dict[str, AcquiredSeries]  # by role


def make_study(options: StudyOptions) -> PhantomStudy:
    """Simulate the patient and the acquisition."""
    person = replace(sample_person(options.seed, options.age_years, options.sex, options.stages_years), variant=options.variant, metal=options.metal)
    degeneration = person_degeneration(person)
    anatomy = build_anatomy(person, degeneration)
    place = site_of(options)
    series: dict[str, AcquiredSeries] = {}
    muscles = muscle_protocols(place) if set(options.roles) & set(MUSCLE_ROLES) else ()
    for protocol in (*place.series, *muscles):
        if protocol.role in options.roles:
            series |= acquire(anatomy, place, coarser(protocol, options.matrix_scale), options.scan)
    return PhantomStudy(options, person, degeneration, anatomy, place, series)


def site_of(options: StudyOptions) -> Site:
    """The requested site, or the one determined by the seed."""
    return site(options.site) if options.site else SITES[int(np.random.default_rng([options.seed, 4]).integers(len(SITES)))]


def study_truth(study: PhantomStudy) -> dict[str, Any]:
    """The ground truth, with image coordinates of the 25 grades."""
    truth = truth_document(study.person, study.degeneration, study.anatomy, study.site.name)
    truth["coordinates"] = coordinates(study.anatomy, study.series)
    return truth


def write_study(study: PhantomStudy, folder: Path, masks: bool = True) -> dict[str, Any]:
    """Write DICOM into `folder/dicom/<role>/`, the ground truth into `folder/truth/`; returns the ground truth."""
    header = study_header(study)
    for number, (role, series) in enumerate(study.series.items(), start=1):
        target = folder / "dicom" / role
        target.mkdir(parents=True)
        written = series_header(header.study_uid, role, series.protocol, number)
        for instance, image in enumerate(slice_images(series), start=1):
            write_slice(target / f"{instance:03d}.dcm", image, header, written)
    truth = folder / "truth"
    truth.mkdir(parents=True)
    ground_truth = study_truth(study)
    (truth / "truth.json").write_text(json.dumps(ground_truth, indent=1) + "\n")
    if masks:
        for role, series in study.series.items():
            write_labels(truth, role, series, label_images(study.anatomy, series))
    return ground_truth


def write_labels(folder: Path, role: str, series: AcquiredSeries, labels: NDArray[np.uint8]) -> None:
    """Write one NIfTI per block of parallel slices: `<role>.nii.gz`, or `<role>_<block>.nii.gz` where there are several."""
    blocks = sorted(set(series.block))
    for block in blocks:
        members = [k for k, number in enumerate(series.block) if number == block]
        name = f"{role}.nii.gz" if len(blocks) == 1 else f"{role}_{block + 1}.nii.gz"
        write_nifti(folder / name, Volume(labels[members], grid_of([series.planes[k] for k in members])))


def slice_images(series: AcquiredSeries) -> list[SliceImage]:
    """The images of a series with their positions, instance 1 first."""
    return [
        SliceImage(pixels, plane.origin_mm, plane.row_step_mm, plane.column_step_mm, number)
        for number, (pixels, plane) in enumerate(zip(series.images, series.planes, strict=True), start=1)
    ]


def study_header(study: PhantomStudy) -> StudyHeader:
    """DICOM attributes of the study; its UIDs are derived from the options."""
    key = f"{study.options.seed}/{study.person.age_years}/{study.person.sex}/{study.site.name}/{study.options.variant}/{study.options.scan}"
    if study.options.matrix_scale != 1:
        key += f"/{study.options.matrix_scale}"
    if study.options.metal:
        key += "/metal"
    return StudyHeader(
        study_uid=derived_uid("lumbar phantom study", key),
        frame_uid=derived_uid("lumbar phantom frame", key),
        patient_id=f"PHANTOM{study.options.seed:06d}",
        sex=study.person.sex,
        age_years=study.person.age_years,
        date="20240101",
        manufacturer="lumbar",
        model=f"Phantom site {study.site.name}/{study.options.variant}/{study.options.scan}",
        tesla=study.site.tesla,
    )


_DESCRIPTIONS = {
    "sagittal_t1": "Sag T1 TSE",
    "sagittal_t2": "Sag T2 TSE",
    "axial_t2": "Ax T2 TSE",
    "axial_t1": "Ax T1 TSE",
    "muscle_t2": "Ax T2 TSE back",
    "dixon_water": "Ax Dixon water",
    "dixon_fat": "Ax Dixon fat",
}


def series_header(study_uid: str, role: str, protocol: SeriesProtocol, number: int, description: str = "") -> SeriesHeader:
    """DICOM attributes of one series; the description names the sequence unless one is given."""
    sequence = protocol.sequence
    text = description or {"stir": "Sag STIR", "space": "Sag T2 SPACE"}.get(sequence.kind, _DESCRIPTIONS[role])
    return SeriesHeader(
        series_uid=derived_uid("lumbar phantom series", study_uid, role),
        number=number,
        description=text,
        scanning_sequence="IR" if sequence.kind == "stir" else "GR" if sequence.kind == "dixon" else "SE",
        repetition_ms=sequence.tr_ms,
        echo_ms=sequence.te_ms,
        inversion_ms=sequence.ti_ms if sequence.kind == "stir" else None,
        flip_degrees=sequence.flip_degrees,
        echo_train=sequence.echo_train,
        thickness_mm=protocol.thickness_mm,
        spacing_mm=protocol.spacing_mm,
    )
