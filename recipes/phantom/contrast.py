"""Contrast of tissues on real series and on phantoms, measured in the same way, and a montage that shows both alternately.

    python recipes/phantom/contrast.py ../shared/data [--montage montage.png] [--series 20] [--seeds 2]

Mid-sagittal images: the packaged spine model segments canal, discs and bodies on both. Values are medians inside the masks (eroded by a pixel) relative to
the median of the bodies; fat is the sixth brightest pixel of each row behind the canal. Real images are from SPIDER and YOLOspine (re-windowed by their
publishers, so that the brightest tissues may be clipped), VB1, VB2, IVD and the RSNA study; SPACE has reference masks. Axial T2 and muscle on T1: boxes
placed by hand on the RSNA study 100206310 (rows and columns below), and ground-truth labels on phantoms; the real values there are of one patient.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from scipy import ndimage

from lumbar.datasets.spider import read_midsagittal, read_space
from lumbar.domain.anatomy import SpineClass
from lumbar.io.nifti import read_nifti
from lumbar.models.registry import find_model
from lumbar.phantom.acquire import AcquiredSeries, label_images
from lumbar.phantom.labels import BODY, CANAL, DISC, MUSCLE
from lumbar.phantom.sites import SITES
from lumbar.phantom.study import PhantomStudy, StudyOptions, make_study
from lumbar.spine.network import Network, network_of
from lumbar.spine.segment import segment_image

STUDY = "rsna2024/train_images/100206310"
AXIAL, STIR, T1 = "1012284084", "1792451510", "2092806862"
# What is read, series, instance, and boxes (row from, to, column from, to) of each tissue.
BOXES = (
    ("axial T2", AXIAL, 24, {"csf": (158, 172, 152, 170), "muscle": (210, 240, 75, 105), "fat": (278, 284, 60, 100), "marrow": (115, 140, 135, 165)}),
    ("sagittal T1, aside", T1, 5, {"muscle": (256, 334, 306, 327), "marrow": (255, 277, 217, 240)}),
)
FOUND = ("csf", "disc", "fat")
Ratios = dict[str, float]


def outlined(image: np.ndarray, pixel_mm: float, network: Network) -> Ratios | None:
    """Tissues on a mid-sagittal image in relation to marrow; None where the model finds too little of a spine."""
    seen = segment_image(image.astype(np.float32), pixel_mm, network)
    grey, labels = seen.image.array[0], seen.labels[0]
    inside = {
        name: grey[ndimage.binary_erosion(labels == kind)] for name, kind in (("csf", SpineClass.CANAL), ("disc", SpineClass.DISC), ("marrow", SpineClass.BODY))
    }
    if min(len(values) for values in inside.values()) < 150:
        return None
    found = {name: float(np.median(values)) for name, values in inside.items()}
    rows = np.flatnonzero((labels == SpineClass.CANAL).any(axis=1))
    behind = [grey[row, np.flatnonzero(labels[row] == SpineClass.CANAL).max() + 22 :] for row in rows[len(rows) // 6 : -len(rows) // 6]]
    found["fat"] = float(np.median([np.sort(line)[-6] for line in behind if len(line) > 10]))
    return {name: value / found["marrow"] for name, value in found.items()}


def real_images(data: Path, count: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """(weighting, image, pixel size) of real mid-sagittal images."""
    spider = read_midsagittal(data / "spider" / "midsagittal", data / "spider" / "overview.csv")
    for kind in ("t1", "t2"):
        chosen = [image for image in spider if image.series.endswith(kind)]
        yield from ((f"{kind.upper()}", image.image, image.pixel_mm) for image in chosen[:: max(1, len(chosen) // (2 * count))])
    graded = sorted((data / "pfirrmann" / "images").iterdir())
    yield from (("T2", np.asarray(Image.open(path).convert("L")), 0.75) for path in graded[:: max(1, len(graded) // count)])
    for names, kind in ((("VB1_02", "VB1_06", "VB1_08", "VB1_10"), "T1"), (("VB1_11", "VB1_12"), "T2"), (("VB1_03", "VB1_07"), "STIR")):
        yield from ((kind, *midslice(data / "sagittal" / f"{name}_image.nii.gz")) for name in names)
    for pattern in ("VB2_*_image.nii.gz", "IVD_*_image.nii.gz"):
        yield from (("T2", *midslice(path)) for path in sorted((data / "sagittal").glob(pattern))[:count])
    for kind, series in (("T1", T1), ("STIR", STIR)):
        dataset = pydicom.dcmread(data / STUDY / series / "9.dcm")
        yield kind, dataset.pixel_array, float(dataset.PixelSpacing[0])


def midslice(path: Path) -> tuple[np.ndarray, float]:
    """The middle sagittal slice of a NIfTI file, head up and back to the right."""
    volume = read_nifti(path)
    grid = volume.grid
    steps = np.array([grid.slice_step_mm, grid.row_step_mm, grid.column_step_mm])
    order = [int(np.abs(steps[:, axis]).argmax()) for axis in (0, 2, 1)]  # across, head to foot, front to back
    array = np.transpose(volume.array, order)
    image = array[len(array) // 2]
    image = image[::-1] if steps[order[1], 2] > 0 else image
    image = image[:, ::-1] if steps[order[2], 1] < 0 else image
    return image, float(np.linalg.norm(steps[order[1]]))


def space_masks(data: Path) -> list[Ratios]:
    """Tissues of the SPACE patients inside the reference masks."""
    by_patient = defaultdict(list)
    for item in read_space(data / "spider" / "t2_space"):
        by_patient[item.patient].append(item)
    found = []
    for items in by_patient.values():
        grey, labels = (np.concatenate([getattr(item, name).ravel() for item in items]) for name in ("image", "labels"))
        marrow = np.median(grey[labels == SpineClass.BODY])
        found.append({"csf": np.median(grey[labels == SpineClass.CANAL]) / marrow, "disc": np.median(grey[labels == SpineClass.DISC]) / marrow})
    return found


def boxed(folder: Path, series: str, instance: int, boxes: dict[str, tuple[int, int, int, int]]) -> Ratios:
    image = pydicom.dcmread(folder / STUDY / series / f"{instance}.dcm").pixel_array
    found = {name: float(np.median(image[a:b, c:d])) for name, (a, b, c, d) in boxes.items()}
    return {name: value / found["marrow"] for name, value in found.items()}


def labelled(study: PhantomStudy, series: AcquiredSeries) -> Ratios:
    """Tissues of a phantom's series from its ground-truth labels; fat is measured just behind the muscles' fascia."""
    labels = label_images(study.anatomy, series)
    image = series.images.astype(float)
    codes = {
        "csf": [CANAL],
        "disc": list(DISC.values())[3:8],
        "marrow": [BODY[n] for n in ("L1", "L2", "L3", "L4", "L5")],
        "muscle": [MUSCLE["multifidus", s] for s in ("left", "right")] + [MUSCLE["erector_spinae", s] for s in ("left", "right")],
    }
    found = {name: float(np.median(image[np.isin(labels, code)])) for name, code in codes.items() if np.isin(labels, code).any()}
    return {name: value / found["marrow"] for name, value in found.items()}


def compare(title: str, real: list[Ratios], phantom: list[Ratios], names: tuple[str, ...]) -> None:
    """One line per tissue: 5 %, median and 95 % of both, and whether the phantom's median lies within the real range."""
    for name in names:
        low, middle, high = np.percentile([r[name] for r in real], (5, 50, 95))
        own = np.percentile([r[name] for r in phantom], (5, 50, 95))
        verdict = "" if len(real) < 2 else "  within" if low <= own[1] <= high else "  OUTSIDE"
        own_words, words = (" ".join(f"{v:5.2f}" for v in values) for values in (own, (low, middle, high)))
        print(f"{title:20s} {name:7s} real {words} (n {len(real):3d})   phantom {own_words} (n {len(phantom):3d}){verdict}")


def grey(image: np.ndarray, height: int = 420) -> np.ndarray:
    scaled = (np.clip(image / np.percentile(image, 99.5), 0, 1) * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(scaled).resize((int(height * image.shape[1] / image.shape[0]), height)))


def montage(data: Path, studies: list[PhantomStudy], path: Path) -> None:
    """Rows of T1, T2 and axial images, phantom and real alternately."""
    real = [[(T1, 9), (STIR, 9), (AXIAL, 37)], [(T1, 5), (STIR, 6), (AXIAL, 24)], [(T1, 12), (STIR, 12), (AXIAL, 50)]]
    rows = []
    for number, study in enumerate(studies):
        offset = (0, 4, -3)[number % 3]
        rows.append(np.concatenate([grey(s.images[len(s.images) // 2 + offset]) for s in study.series.values()], axis=1))
        if number < len(real):
            rows.append(np.concatenate([grey(pydicom.dcmread(data / STUDY / s / f"{n}.dcm").pixel_array) for s, n in real[number]], axis=1))
    width = min(row.shape[1] for row in rows)
    Image.fromarray(np.concatenate([row[:, :width] for row in rows])).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--montage", type=Path)
    parser.add_argument("--series", type=int, default=20, help="images of each real set")
    parser.add_argument("--seeds", type=int, default=2, help="phantoms of each site")
    options = parser.parse_args()
    network = network_of(find_model("spine", None, 1))
    real: dict[str, list[Ratios]] = defaultdict(list)
    phantom: dict[str, list[Ratios]] = defaultdict(list)
    for kind, image, pixel_mm in real_images(options.data, options.series):
        found = outlined(image, pixel_mm, network)
        if found:
            real[kind].append(found)
    shown = []
    for number in range(options.seeds * len(SITES)):
        study = make_study(StudyOptions(number, site=SITES[number % len(SITES)].name))
        for role in ("sagittal_t1", "sagittal_t2"):
            series = study.series[role]
            kind = "T1" if role == "sagittal_t1" else {"tse": "T2", "stir": "STIR", "space": "SPACE"}[series.protocol.sequence.kind]
            middle = series.images[len(series.images) // 2]
            found = labelled(study, series) if kind == "SPACE" else outlined(middle, series.protocol.fov_mm / series.protocol.matrix, network)
            if found:
                phantom[kind].append(found)
        phantom["axial T2"].append(labelled(study, study.series["axial_t2"]))
        phantom["sagittal T1, aside"].append(labelled(study, study.series["sagittal_t1"]))
        if number in (0, 1, 2, 6):
            shown.append(study)
    print("in relation to marrow: 5 %, median, 95 %")
    for kind in ("T1", "T2", "STIR"):
        compare(f"sagittal {kind}", real[kind], phantom[kind], FOUND if kind != "STIR" else FOUND[:2])  # in STIR fat is dark, and the bright pixels are not fat
    compare("sagittal SPACE", space_masks(options.data), phantom["SPACE"], ("csf", "disc"))
    for title, series_id, instance, boxes in BOXES:
        compare(title, [boxed(options.data, series_id, instance, boxes)], phantom[title], tuple(name for name in boxes if name not in ("marrow", "fat")))
    if options.montage:
        montage(options.data, shown, options.montage)


if __name__ == "__main__":
    main()
