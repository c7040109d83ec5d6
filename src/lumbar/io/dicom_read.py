"""DICOM files to a `Study`: slices into series, series into stacks, each with its role."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumbar.domain.study import Patient, Plane, Role, Series, Stack, Study, Weighting
from lumbar.errors import NoUsableSeries, UnreadableInput
from lumbar.io.dicom_files import Census, Headers, Progress, read_headers
from lumbar.io.pixels import decode
from lumbar.io.roles import dixon_kind, judge, reason, role_of
from lumbar.io.slices import Acquisition, SliceHeader
from lumbar.io.stacks import Picture, acquisitions, blocks, gaps_warning, parallel_groups, runs, stack, without_copies

_PLANES = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)  # by the patient axis that the normal follows


def read_dicom(paths: list[Path], root: Path, progress: Progress | None = None) -> Study:
    """The study that the DICOM images among `paths` belong to; the one with most usable series if there are several.

    Args:
        paths: files, DICOM or not.
        root: folder that names in messages are relative to; the file itself for a single one.
        progress: called with (files done, files in all).

    Raises:
        UnreadableInput: no file is an MR slice that can be read; the message says why.
        NoUsableSeries: there are slices, but of another modality.
    """
    headers = read_headers(paths, root, progress)
    if not headers.slices:
        raise UnreadableInput(_nothing(root, headers.census))
    census, warnings = headers.census, list[str]()
    slices = _named(headers.slices, root, warnings)
    studies: dict[str, list[Series]] = {}
    for group in _by_series(slices):
        made = _series(group, census, warnings)
        studies.setdefault(_study_uid(group), []).extend(made)
    return _chosen(studies, headers, root, warnings)


def _named(slices: Sequence[SliceHeader], root: Path, warnings: list[str]) -> list[SliceHeader]:
    """Slices without a series UID get one from the folder they lie in."""
    nameless = [one for one in slices if not one.series_uid]
    if nameless:
        warnings.append(f"{len(nameless)} slices have no SeriesInstanceUID (first: {nameless[0].name}); those of one folder were taken as one series")
    return [one if one.series_uid else replace(one, series_uid=f"folder:{one.path.parent.name or root.name}") for one in slices]


def _by_series(slices: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices by series UID, in order of series number and UID."""
    groups: dict[str, list[SliceHeader]] = {}
    for one in slices:
        groups.setdefault(one.series_uid, []).append(one)
    return sorted(groups.values(), key=lambda group: (group[0].series_number or 0, group[0].series_uid))


def _study_uid(group: Sequence[SliceHeader]) -> str:
    known = Counter(one.study_uid for one in group if one.study_uid)
    return known.most_common(1)[0][0] if known else ""


def _series(group: list[SliceHeader], census: Census, warnings: list[str]) -> list[Series]:
    """The series of one UID: usually one, several where it holds echoes, Dixon pictures or planes."""
    other = [one for one in group if one.modality not in ("", "MR")]
    for one in other:
        census.refuse(one.name, f"its modality is {one.modality[:16]}, not MR")
    group = [one for one in group if one.modality in ("", "MR")]
    made: list[Series] = []
    parts = _planes(group, warnings)
    for part in parts:
        keys = {id(one): _contrast_key(one.acquisition) for one in part}
        made += [series for acquired in acquisitions(part, keys) if (series := _one_series(acquired, census, _scouting(parts))) is not None]
    return made


def _contrast_key(a: Acquisition) -> tuple[str, int, int, tuple[str, ...]]:
    return dixon_kind(a), round(a.echo_ms or 0), round(a.b_value or 0), a.image_type[2:3]


def _planes(group: list[SliceHeader], warnings: list[str]) -> list[list[SliceHeader]]:
    """Slices by plane; one or two that lie otherwise than all others of a series are left out with a warning."""
    planes: dict[Plane, list[SliceHeader]] = {}
    for one in group:
        planes.setdefault(_plane(one), []).append(one)
    if len(planes) < 2:
        return list(planes.values())
    most = max(planes.values(), key=len)
    kept = [most]
    for plane, part in planes.items():
        if part is most:
            continue
        if len(part) <= 2 and len(part) < len(most) / 5:
            warnings.append(
                f"{len(part)} of {len(group)} slices of a series lie {plane.value} where all others lie {_plane(most[0]).value} "
                f"(first: {part[0].name}); left out"
            )
        else:
            kept.append(part)
    return kept


def _plane(one: SliceHeader) -> Plane:
    return _PLANES[int(np.argmax(np.abs(one.normal)))]


def _scouting(parts: Sequence[Sequence[SliceHeader]]) -> str:
    """Why a series is a localizer by its geometry alone, or ""."""
    if len(parts) == len(_PLANES) or (len(parts) > 1 and max(map(len, parts)) <= 5):
        return f"it holds slices in {len(parts)} planes, as localizers do"
    return ""


def _one_series(slices: list[SliceHeader], census: Census, scouting: str) -> Series | None:
    warnings: list[str] = []
    stacks: list[Stack] = []
    for parallel in parallel_groups(slices):
        stacks += _stacks(parallel, census.refuse, warnings)
    if not stacks:
        return None
    plane = _plane(slices[0])
    acquisition = _typical(slices)
    verdict = judge(acquisition)
    verdict = replace(verdict, excluded=verdict.excluded or scouting)
    weighting = verdict.weighting
    role = Role.OTHER if verdict.excluded else role_of(plane, weighting)
    warnings += verdict.warnings
    return Series(
        series_uid=slices[0].series_uid,
        stacks=tuple(stacks),
        plane=plane,
        weighting=weighting,
        role=role,
        reason=reason(_place(plane, slices), verdict),
        description=slices[0].series_description,
        warnings=tuple(warnings),
    )


def _stacks(parallel: list[SliceHeader], refuse: Callable[[str, str], None], warnings: list[str]) -> list[Stack]:
    pictures, copies = without_copies(decode(parallel, refuse))
    if copies:
        warnings.append("1 slice repeats another and was left out" if copies == 1 else f"{copies} slices repeat others and were left out")
    if not pictures:
        return []
    made: list[Stack] = []
    strays: list[Picture] = []
    all_runs = runs(pictures)
    for number, run in enumerate(all_runs):
        if number and len(run) <= 2 < len(all_runs[0]):
            strays += run
            continue
        parts, far = blocks(run)
        made += [stack(part) for part in parts]
        strays += far
    if strays:
        what = "1 slice lies" if len(strays) == 1 else f"{len(strays)} slices lie"
        warnings.append(f"{what} far from all others, or where others do without being the same (first: {strays[0][0].name}); left out")
    made.sort(key=lambda one: min(one.instance_numbers))
    warnings += [sentence for one in made if (sentence := gaps_warning(one))]
    return made


def _typical(slices: Sequence[SliceHeader]) -> Acquisition:
    """What most slices of the series say."""
    return Counter(one.acquisition for one in slices).most_common(1)[0][0]


def _place(plane: Plane, slices: Sequence[SliceHeader]) -> str:
    tilt = max(float(np.degrees(np.arccos(min(1.0, np.abs(one.normal).max())))) for one in slices)
    return f"{plane.value} by its orientation" + (f" (up to {tilt:.0f}° oblique)" if tilt >= 5 else "")


def _chosen(studies: dict[str, list[Series]], headers: Headers, root: Path, warnings: list[str]) -> Study:
    """The richest study; series without a study UID join it."""
    nameless = studies.pop("", [])
    if not any(studies.values()) and not nameless:
        raise NoUsableSeries(_nothing(root, headers.census))
    ranked = sorted(studies.items(), key=lambda item: (-_usable(item[1]), -sum(s.instances for s in item[1]), item[0]))
    uid = ranked[0][0] if ranked else f"folder:{root.name}"
    if not ranked:
        warnings.append("no StudyInstanceUID; the folder's name stands in for it")
    if sum(bool(series) for _, series in ranked) > 1:
        warnings.append(f"{len(ranked)} studies lie in one place; the one with most usable series was taken ({uid})")
    series = _settled((*(ranked[0][1] if ranked else []), *nameless))
    return Study(uid, series, _patient(headers.slices, {one.series_uid for one in series}), (*warnings, *headers.census.sentences()))


def _settled(series: tuple[Series, ...]) -> tuple[Series, ...]:
    if all(one.weighting is not Weighting.UNKNOWN for one in series):
        return series
    from lumbar.io.weighting_from_pixels import settle  # noqa: PLC0415  (scipy costs a fifth of a second that most studies need not pay here)

    return settle(series)


def _patient(slices: Sequence[SliceHeader], series_uids: set[str]) -> Patient:
    """Age and sex as most of the study's slices say."""
    own = [one for one in slices if one.series_uid in series_uids or not one.series_uid]
    ages = Counter(one.age_years for one in own if one.age_years is not None)
    sexes = Counter(one.sex for one in own if one.sex is not None)
    return Patient(ages.most_common(1)[0][0] if ages else None, sexes.most_common(1)[0][0] if sexes else None)


def _usable(series: Sequence[Series]) -> int:
    return sum(one.role is not Role.OTHER and one.weighting is not Weighting.UNKNOWN for one in series)


def _nothing(root: Path, census: Census) -> str:
    seen = "1 file was" if census.files == 1 else f"{census.files} files were"
    if not census.files:
        return f"{root}: the folder is empty; give the folder (or zip) that holds the study's DICOM files"
    lines = [f"{root}: no MR slice can be read; {seen} seen"]
    if census.foreign:
        lines.append(f"{'it is' if census.files == 1 else f'{census.foreign} of them are'} no DICOM")
    lines += census.sentences()
    return "; ".join(lines) + ". Give a folder or zip of DICOM images with orientation and position, or NIfTI files"
