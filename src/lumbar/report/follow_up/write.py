"""The output folder of `lumbar compare`: comparison.json, comparison.html and comparison.csv."""

import csv
import dataclasses
from pathlib import Path

from PIL import Image

from lumbar.domain.anatomy import Level
from lumbar.population.follow_up.compare import Change, Comparison
from lumbar.report.document import to_json, to_plain
from lumbar.report.follow_up.document import comparison_document
from lumbar.report.follow_up.page import ImagePair, render_comparison
from lumbar.report.write import data_url

_VIEWS = {
    "sagittal_plain": "Mid-sagittal",
    **{f"axial_{level.slug}": f"Axial at {level.value}" for level in Level},
    **{f"fat_{level.slug}": f"Muscle fat at {level.value}" for level in Level},
}
_WIDEST = 700  # pixels of an image on the page


def write_comparison(folder: Path, comparison: Comparison, earlier: Path, later: Path) -> None:
    """Write the comparison of the results in `earlier` and `later` into `folder`, which exists."""
    names = tuple(name for name in _VIEWS if all((result / "previews" / f"{name}.png").is_file() for result in (earlier, later)))
    images = [ImagePair(_VIEWS[name], *(_url(result / "previews" / f"{name}.png") for result in (earlier, later))) for name in names]
    (folder / "comparison.json").write_text(to_json(comparison_document(comparison, names)), encoding="utf-8")
    (folder / "comparison.html").write_text(render_comparison(comparison, images), encoding="utf-8")
    with (folder / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in dataclasses.fields(Change)], lineterminator="\n")
        table.writeheader()
        table.writerows(to_plain(change) for change in comparison.changes)


def _url(path: Path) -> str:
    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((_WIDEST, _WIDEST))
    return data_url(small)
