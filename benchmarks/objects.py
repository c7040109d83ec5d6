"""Check all DICOM objects of synthetic studies of every site with Debian's validators, and compare the masks voxel by voxel.

    python benchmarks/objects.py WORK [--studies 20] [--matrix-scale 0.5]

Sites alternate A to I; every third study is also scanned with Dixon. `dciodvfy` (dicom3tools) has to find no error in any object, `dsrdump` (dcmtk) has to
read every structured report, and the segmentations have to hold the voxels of masks/*.nii.gz. Prints one line a study and a verdict; exit code 1 for a fault.
"""

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pydicom

import lumbar
from lumbar.domain.anatomy import Level, Vertebra
from lumbar.muscle.labels import LABELS
from lumbar.phantom.sites import SITES
from lumbar.phantom.study import MUSCLE_ROLES, ROLES, StudyOptions, make_study, write_study

STRUCTURES = {  # label of a segment → mask file and value in it
    **{level.value: ("levels", number) for number, level in enumerate(Level, start=1)},
    **{vertebra.value: ("levels", number) for number, vertebra in enumerate((Vertebra.L1, Vertebra.L2, Vertebra.L3, Vertebra.L4, Vertebra.L5), start=11)},
    "Spinal canal": ("spine", 3),
    **{f"{side.value.capitalize()} {muscle.value.replace('_', ' ')}": ("muscle", value) for value, (muscle, side) in LABELS.items()},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--matrix-scale", type=float, default=0.5)
    given = parser.parse_args()
    if missing := [tool for tool in ("dciodvfy", "dsrdump") if shutil.which(tool) is None]:
        parser.error(f"{', '.join(missing)} not found; apt-get install dicom3tools dcmtk")
    models, failed, kinds = lumbar.load_models(), 0, Counter[str]()
    for number in range(given.studies):
        site, dixon = SITES[number % len(SITES)].name, number % 3 == 0
        folder = given.work / f"{number:02d}"
        options = StudyOptions(number + 1, site=site, roles=(*ROLES, *(MUSCLE_ROLES if dixon else ())), matrix_scale=given.matrix_scale)
        if not (folder / "dicom").exists():
            write_study(make_study(options), folder, masks=False)
        lumbar.analyze(lumbar.read_study(folder / "dicom"), models).write(folder / "out", True, folder / "dicom")
        paths = sorted((folder / "out" / "dicom").rglob("*.dcm"))
        faults = [fault for path in paths for fault in faults_of(path)] + lost_masks(folder / "out")
        kinds.update(path.parent.name if path.parent.name == "key_images" else path.stem.rstrip("0123456789_") for path in paths)
        failed += bool(faults)
        print(
            f"study {number + 1:2d}, site {site}{', Dixon' if dixon else ''}: {len(paths)} objects, {len(faults)} faults", *faults[:5], sep="\n  ", flush=True
        )
    print(f"{given.studies} studies, {kinds.total()} objects ({', '.join(f'{count} {kind}' for kind, count in kinds.items())}): {failed} studies with faults")
    return 1 if failed else 0


def faults_of(path: Path) -> list[str]:
    """What the validators say against one object."""
    checked = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    faults = [f"{path.name}: {line}" for line in lines if line.startswith("Error")]
    if not any(line and not line.startswith(("Error", "Warning")) for line in lines):
        faults.append(f"{path.name}: dciodvfy does not know this object")
    data = pydicom.dcmread(path, stop_before_pixels=True)
    if data.Modality == "SR":
        dumped = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
        if dumped.returncode or "NUM" not in dumped.stdout or any(line.startswith(("E:", "F:")) for line in dumped.stderr.splitlines()):
            faults.append(f"{path.name}: dsrdump {dumped.returncode} {dumped.stderr.strip()[:200]}")
    if data.Modality == "DOC" and not data.EncapsulatedDocument.startswith(b"%PDF-"):
        faults.append(f"{path.name}: no PDF inside")
    return faults


def lost_masks(out: Path) -> list[str]:
    """Segments that do not cover the very voxels of their NIfTI mask, compared in patient space."""
    faults = []
    for path in sorted((out / "dicom").glob("*_seg*.dcm")):
        data = pydicom.dcmread(path)
        for segment in data.SegmentSequence:
            label = segment.SegmentLabel
            structure = next(
                (name for name in STRUCTURES if label.split(",")[0] == name or label.startswith(f"{name} vertebral") or label == f"{name} disc"), None
            )
            if structure is None:
                continue
            points = points_of(data, segment.SegmentNumber)
            stem, value = STRUCTURES[structure]
            if not any(same_voxels(points, mask, value) for mask in sorted((out / "masks").glob(f"{stem}*.nii.gz"))):
                faults.append(f"{path.name}: {label} does not cover the voxels of its mask")
    return faults


def points_of(data: pydicom.Dataset, segment: int) -> np.ndarray:
    """(n, 3) centers of the voxels of a segment, LPS millimetres, from the headers of its frames alone."""
    shared = data.SharedFunctionalGroupsSequence[0]
    row_mm, column_mm = (float(value) for value in shared.PixelMeasuresSequence[0].PixelSpacing)
    along = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    points = []
    for frame, group in zip(data.pixel_array, data.PerFrameFunctionalGroupsSequence, strict=True):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == segment:
            rows, columns = np.nonzero(frame)
            origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
            points.append(origin + columns[:, None] * column_mm * along[0] + rows[:, None] * row_mm * along[1])
    return np.concatenate(points)


def same_voxels(points: np.ndarray, mask: Path, value: int) -> bool:
    """Whether `points` are the voxels of `mask` that hold `value`."""
    image = nibabel.load(mask)
    ras = points * (-1, -1, 1)
    index = nibabel.affines.apply_affine(np.linalg.inv(image.affine), ras)
    if len(index) and np.abs(index - np.rint(index)).max() > 0.05:
        return False
    found = np.argwhere(np.asarray(image.dataobj) == value)
    return {tuple(one) for one in np.rint(index).astype(int).tolist()} == {tuple(one) for one in found.tolist()}


if __name__ == "__main__":
    sys.exit(main())
