"""DICOM files to a `Study`: slices into series, series into stacks, each with its role."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumbar.domain.study import Patient, Plane, Role, Series, Study, Weighting
from lumbar.errors import NoUsableSeries, UnreadableInput
from lumbar.io.dicom_files import Census, Headers, Progress, read_headers
from lumbar.io.pixel_checks import pixel_warnings, shows_something, without_empty
from lumbar.io.pixels import decode
from lumbar.io.positions import misplaced, neighbour_warnings
from lumbar.io.roles import Verdict, contrast_key, judge, reason, role_of
from lumbar.io.same_place import distinguished
from lumbar.io.slices import Acquisition, SliceHeader
from lumbar.io.stacks import SliceImage, acquisitions, blocks, gaps_warning, layers, parallel_groups, runs, stack, turned_degrees, without_copies

_PLANES = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)  # by the patient axis that the normal follows
_STEEP_COSINE = 0.45  # a block within 63° of the plane of most slices may be theirs,
_UPRIGHT_COSINE = 0.94  # unless it lies within 20° of another plane
_MOST_SCOUTS = 5  # slices in each of two planes, as localizers have
_FEWEST_OF_SERIES = 3  # slices that make a series of their own
_SPIN_ECHOES = (Weighting.T1, Weighting.T2, Weighting.STIR)
_TURNED_DEGREES = 0.15  # what rounding of directions does not explain


def read_dicom(paths: list[Path], root: Path, progress: Progress | None = None) -> Study:
    """The study that the DICOM images among `paths` belong to; the one with most usable series if there are several.

    Args:
        paths: files, DICOM or not.
        root: folder that names in messages are relative to; the file itself for a single one.
        progress: called with (files done, files in all).

    Raises:
        UnreadableInput: no file is a readable MR slice; the message gives the reason.
        NoUsableSeries: there are slices, but of another modality.
    """
    headers = read_headers(paths, root, progress)
    if not headers.slices:
        raise UnreadableInput(_nothing(root, headers.census))
    census, warnings = headers.census, list[str]()
    slices = _named(headers.slices, root, warnings)
    studies: dict[str, list[Series]] = {}
    for group in _by_series(_together(slices, warnings)):
        made = _series(group, census, warnings)
        studies.setdefault(_study_uid(group), []).extend(made)
    return _chosen(studies, headers, root, warnings)


def _named(slices: Sequence[SliceHeader], root: Path, warnings: list[str]) -> list[SliceHeader]:
    """Slices without a series UID get one from the folder they lie in."""
    nameless = [one for one in slices if not one.series_uid]
    if nameless:
        warnings.append(f"{len(nameless)} slices have no SeriesInstanceUID (first: {nameless[0].name}); those of one folder were taken as one series")
    return [one if one.series_uid else replace(one, series_uid=f"folder:{one.path.parent.name or root.name}") for one in slices]


def _together(slices: Sequence[SliceHeader], warnings: list[str]) -> list[SliceHeader]:
    """Slices that each have a series UID of their own, as some anonymisers write, get that of the first that was taken in the same way."""
    sizes = Counter(one.series_uid for one in slices)
    alike: dict[object, list[SliceHeader]] = {}
    for one in slices:
        if sizes[one.series_uid] == 1:
            key = (one.study_uid, one.acquisition, one.rows, one.columns, one.spacing_mm, _plane([one]))
            alike.setdefault(key, []).append(one)
    uids = {one.series_uid: group[0].series_uid for group in alike.values() if len(group) >= _FEWEST_OF_SERIES for one in group}
    if not uids:
        return list(slices)
    count = len(set(uids.values()))
    warnings.append(
        f"{len(uids)} slices have a SeriesInstanceUID each; by plane, times and description they were taken as {'one' if count == 1 else count} series"
    )
    return [replace(one, series_uid=uids.get(one.series_uid, one.series_uid)) for one in slices]


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
    """The series of one UID: usually one, several where it holds echoes, Dixon images or planes."""
    other = [one for one in group if one.modality not in ("", "MR")]
    for one in other:
        census.refuse(one.name, f"its modality is {one.modality[:16]}, not MR")
    group = [one for one in group if one.modality in ("", "MR")]
    made: list[Series] = []
    parts = _planes(group, warnings)
    for part in parts:
        contrasts = _contrasts(part)
        if len(contrasts) > 1:
            warnings.append(f"one series UID holds {len(contrasts)} {_plane(part).value} series of different contrast; they were taken apart by their times")
        for contrast in contrasts:
            keys = {id(one): contrast_key(one.acquisition) for one in contrast}
            for acquired in acquisitions(contrast, keys):
                made += _one_acquisition(acquired, census, _scouting(parts))
    return made


def _contrasts(part: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices by weighting, where enough of each are T1, T2 or STIR; all others stay with the largest of them."""
    weightings = {acquisition: judge(acquisition).weighting for acquisition in {one.acquisition for one in part}}
    found: dict[Weighting, list[SliceHeader]] = {}
    for one in part:
        found.setdefault(weightings[one.acquisition], []).append(one)
    large = {weighting: own for weighting, own in found.items() if weighting in _SPIN_ECHOES and len(own) >= _FEWEST_OF_SERIES}
    if len(large) < 2:
        return [part]
    most = max(large, key=lambda weighting: len(large[weighting]))
    for weighting, own in found.items():
        if weighting not in large:
            large[most].extend(own)
    return list(large.values())


def _planes(group: list[SliceHeader], warnings: list[str]) -> list[list[SliceHeader]]:
    """Slices by plane; one or two that lie otherwise than all others of a series are left out with a warning."""
    planes: dict[Plane, list[SliceHeader]] = {}
    for one in group:
        planes.setdefault(_plane([one]), []).append(one)
    if len(planes) < 2:
        return list(planes.values())
    planes = _with_steep_slices(planes)
    most = max(planes.values(), key=len)
    kept = [most]
    for plane, part in planes.items():
        if part is most:
            continue
        if len(part) <= 2 and len(part) < len(most) / 5:
            warnings.append(
                f"{len(part)} of {len(group)} slices of a series lie {plane.value} where all others lie {_plane(most).value} (first: {part[0].name}); left out"
            )
        else:
            kept.append(part)
    return kept


def _with_steep_slices(planes: dict[Plane, list[SliceHeader]]) -> dict[Plane, list[SliceHeader]]:
    """Slices just beyond the middle between two planes join the plane of most slices: blocks through steep discs are not separate series."""
    most = max(planes, key=lambda plane: len(planes[plane]))
    axis = _PLANES.index(most)
    joined: dict[Plane, list[SliceHeader]] = {most: list(planes[most])}
    for plane, part in planes.items():
        for one in part if plane is not most else ():
            steep = abs(float(one.normal[axis])) >= _STEEP_COSINE and abs(float(one.normal[_PLANES.index(plane)])) < _UPRIGHT_COSINE
            joined.setdefault(most if steep else plane, []).append(one)
    return joined


def _plane(slices: Sequence[SliceHeader]) -> Plane:
    """The plane of most slices."""
    return Counter(_PLANES[int(np.argmax(np.abs(one.normal)))] for one in slices).most_common(1)[0][0]


def _scouting(parts: Sequence[Sequence[SliceHeader]]) -> str:
    """Why a series is a localizer by its geometry alone, or ""."""
    if len(parts) == len(_PLANES) or (len(parts) > 1 and max(map(len, parts)) <= _MOST_SCOUTS):
        return f"it holds slices in {len(parts)} planes, as localizers do"
    return ""


def _one_acquisition(slices: list[SliceHeader], census: Census, scouting: str) -> list[Series]:
    """The series of slices of one contrast: one, or one per kind where several images have the same position and no header distinguishes them."""
    warnings: list[str] = []
    layered: list[list[list[SliceImage]]] = []
    blank = ""
    for parallel in parallel_groups(slices):
        images, copies = without_copies(decode(parallel, census.refuse))
        if copies:
            warnings.append("1 slice repeats another and was left out" if copies == 1 else f"{copies} slices repeat others and were left out")
        if not images:
            continue
        images, empty = without_empty(images)
        if empty:
            warnings.append(
                f"{'1 slice is' if empty == 1 else f'{empty} slices are'} empty (one value everywhere) and {'was' if empty == 1 else 'were'} left out"
            )
        elif not any(shows_something(pixels) for _, pixels in images):
            blank = "all its images are empty (one value everywhere)"
        warnings += pixel_warnings(images)
        if turned := _turned(images):
            warnings.append(turned)
        warnings += neighbour_warnings(images)
        if broken := misplaced(images):
            return [_refused(slices, images, broken, warnings)]
        for number, layer in enumerate(_kept_layers(layers(runs(images)), warnings)):
            while len(layered) <= number:
                layered.append([])
            layered[number] += layer
    if not layered:
        return []
    verdict = judge(_typical(slices))
    verdict = replace(verdict, excluded=verdict.excluded or scouting or blank)
    if len(layered) == 1:
        return [_series_of(slices, layered[0], verdict, warnings)]
    return _series_by_kind(slices, layered, verdict, warnings)


def _kept_layers(found: list[list[list[SliceImage]]], warnings: list[str]) -> list[list[list[SliceImage]]]:
    """Layers without one or two slices that lie where others do, and runs cut into blocks."""
    kept: list[list[list[SliceImage]]] = []
    strays: list[SliceImage] = []
    most = len(found[0][0])
    for number, layer in enumerate(found):
        parts: list[list[SliceImage]] = []
        for run in layer:
            if len(run) <= 2 < most and (number or run is not layer[0]):
                strays += run
                continue
            cut, far = blocks(run)
            parts += cut
            strays += far
        if parts:
            kept.append(parts)
    if strays:
        what = "1 slice lies" if len(strays) == 1 else f"{len(strays)} slices lie"
        warnings.append(f"{what} far from all others, or where others do without being the same (first: {strays[0][0].name}); left out")
    return kept


def _series_by_kind(slices: list[SliceHeader], layered: list[list[list[SliceImage]]], verdict: Verdict, warnings: list[str]) -> list[Series]:
    """A series for each kind of image at one position; one unusable series if the pixels do not distinguish the kinds."""
    kinds = distinguished([[image for run in layer for image in run] for layer in layered])
    if not kinds.kinds:
        why = f"it has {len(layered)} images at every position, and neither the header nor the pixels distinguish them ({kinds.why})"
        return [_series_of(slices, layered[0], replace(verdict, excluded=verdict.excluded or why), warnings)]
    made = []
    for number, (kind, layer) in enumerate(zip(kinds.kinds, layered, strict=True)):
        if kind == "repeat":
            continue
        note = [f"{len(layered)} images have the same position; {kinds.why}" + ("; the first was used" if kind == "first" else "")]
        factor = kinds.scales[number] if kinds.scales else 1.0
        if factor != 1.0:
            layer = [[(replace(one, slope=one.slope * factor, intercept=one.intercept * factor), pixels) for one, pixels in run] for run in layer]  # noqa: PLW2901
        weighting = {"water": Weighting.DIXON_WATER, "fat": Weighting.DIXON_FAT}.get(kind, verdict.weighting)
        excluded = verdict.excluded or ("it is the out-of-phase image of a Dixon examination" if kind == "out of phase" else "")
        evidence = (*verdict.evidence, f"its pixels are those of the {kind} image") if kind != "first" else verdict.evidence
        made.append(_series_of(slices, layer, replace(verdict, weighting=weighting, excluded=excluded, evidence=evidence), [*warnings, *note]))
    return made


def _series_of(slices: Sequence[SliceHeader], parts: list[list[SliceImage]], verdict: Verdict, warnings: list[str]) -> Series:
    """The series whose stacks are `parts`."""
    stacks = sorted((stack(part) for part in parts), key=lambda one: min(one.instance_numbers))
    own = [one for part in parts for one, _ in part]
    plane = _plane(own)
    gaps = [sentence for one in stacks if (sentence := gaps_warning(one))]
    role = Role.OTHER if verdict.excluded else role_of(plane, verdict.weighting)
    return Series(
        series_uid=slices[0].series_uid,
        stacks=tuple(stacks),
        plane=plane,
        weighting=verdict.weighting,
        role=role,
        reason=reason(_place(plane, own), verdict),
        description=slices[0].series_description,
        warnings=tuple(dict.fromkeys((*warnings, *gaps, *verdict.warnings))),
        usable=not verdict.excluded,
        scale_doubt=next((one.scale_doubt for one in own if one.scale_doubt), ""),
    )


def _refused(slices: Sequence[SliceHeader], images: Sequence[SliceImage], why: str, warnings: list[str]) -> Series:
    """A series of which one image is kept, so that `inspect` can show it, and nothing is used."""
    verdict = replace(judge(_typical(slices)), excluded=why)
    made = _series_of(slices, [[images[0]]], verdict, [])
    return replace(made, warnings=(*warnings, f"the {made.plane.value} {made.weighting.value} series was not used: {why}"))


def _turned(images: Sequence[SliceImage]) -> str:
    """A warning where the slices of one stack are turned against each other."""
    slices = [one for one, _ in images]
    degrees = turned_degrees(slices)
    if degrees < _TURNED_DEGREES:
        return ""
    first = slices[0]
    reach = max(first.rows * first.spacing_mm[0], first.columns * first.spacing_mm[1]) / 2
    off = reach * float(np.tan(np.radians(degrees)))
    return (
        f"its slices are turned against each other by up to {degrees:.1f}° from their mean; they were taken as one stack, "
        f"so places at its edges are off by up to {off:.1f} mm"
    )


def _typical(slices: Sequence[SliceHeader]) -> Acquisition:
    """The most frequent value among the slices of the series."""
    return Counter(one.acquisition for one in slices).most_common(1)[0][0]


def _place(plane: Plane, slices: Sequence[SliceHeader]) -> str:
    axis = _PLANES.index(plane)
    tilt = max(float(np.degrees(np.arccos(min(1.0, abs(one.normal[axis]))))) for one in slices)
    return f"{plane.value} by its orientation" + (f" (up to {tilt:.0f}° oblique)" if tilt >= 5 else "")


def _chosen(studies: dict[str, list[Series]], headers: Headers, root: Path, warnings: list[str]) -> Study:
    """The richest study; series without a study UID join it."""
    nameless = studies.pop("", [])
    if not any(studies.values()) and not nameless:
        raise NoUsableSeries(_nothing(root, headers.census))
    ranked = sorted(studies.items(), key=lambda item: (-_usable(item[1]), -sum(s.instances for s in item[1]), item[0]))
    uid = ranked[0][0] if ranked else f"folder:{root.name}"
    if not ranked:
        warnings.append("no StudyInstanceUID; the name of the folder is used instead")
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
    """Age and sex from most slices of the study."""
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
