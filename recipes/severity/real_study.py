"""The 25 grades of the one real study with images, compared with its labels, with the distance of each evidence point from the label.

    python recipes/severity/real_study.py ../shared/data/rsna2024

The study was left out of all training and tuning.
"""

import argparse
from pathlib import Path

import numpy as np

from lumbar.datasets.rsna2024 import read_rsna2024
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.domain.anatomy import Condition, Level
from lumbar.domain.study import Study
from lumbar.io.read import read_study
from lumbar.metrics.classification import weighted_log_loss
from lumbar.pipeline import Request, analyze, load_models
from lumbar.severity.axial.data import GRADE_ORDER
from lumbar.severity.evaluate import evaluate
from lumbar.severity.predict import load
from lumbar.severity.score import GRADE_WEIGHTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("--models", type=Path, help="model folder, or a folder of them, that takes precedence")
    arguments = parser.parse_args()
    data = read_rsna2024(arguments.data)
    for name in data.imaged_studies:
        study = read_study(arguments.data / "train_images" / name)
        predictor = load(arguments.models)
        findings = predictor.predict(study, analyze(study, load_models(arguments.models, tasks=()), Request(tasks=("spine",))).spine.finding.levels)
        points = {(p.condition, p.level): p for p in data.points if p.study_id == name}
        distances, rows, prior = [], {}, {}
        for f in findings:
            rows[row_id(name, f.condition, f.level)] = np.array([*vars(f.probabilities).values()])
            prior[row_id(name, f.condition, f.level)] = predictor.prior.metric(f.condition, f.level)
            label, point = data.grades[name][row_id("", f.condition, f.level)[1:]], points.get((f.condition, f.level))
            distance = float("nan")
            if point is not None and f.evidence is not None:
                here = place(study, f.evidence.series_uid, f.evidence.instance_number, f.evidence.x, f.evidence.y)
                distance = float(np.linalg.norm(here - place(study, point.series_id, point.instance_number, point.x, point.y)))
                distances.append(distance)
            shown = " ".join(f"{p:.2f}" for p in rows[row_id(name, f.condition, f.level)])
            print(
                f"{f.condition.value:34s}{f.level.value} is {label.value if label else '-':12s} {shown}  {f.severity.value:12s} {distance:5.1f} mm  {f.model}"
            )
        truth = {name: data.grades[name]}
        for title, predicted in (("graded", rows), ("frequencies only", prior)):
            print(f"{title}: weighted log loss of all rows {pooled(predicted, truth[name], name):.3f}, {evaluate(predicted, truth, repeats=2).score}")
        print(f"evidence: median {np.median(distances):.1f} mm from the label, largest {max(distances):.1f} mm")


def place(study: Study, series_id: str, instance: int, x: float, y: float) -> np.ndarray:
    stacks = [stack for series in study.series if series.series_uid.endswith(series_id) for stack in series.stacks]
    stack = next(stack for stack in stacks if instance in stack.instance_numbers)
    return stack.volume.grid.points_mm([stack.instance_numbers.index(instance), y, x])


def pooled(predicted: dict[str, np.ndarray], grades: dict, name: str) -> float:
    cells = [(row_id(name, c, v), grades[row_id("", c, v)[1:]]) for c in Condition for v in Level if grades[row_id("", c, v)[1:]] is not None]
    probabilities = np.array([predicted[row] for row, _ in cells])
    return weighted_log_loss(probabilities, np.array([GRADE_ORDER.index(grade) for _, grade in cells]), np.array(GRADE_WEIGHTS))


if __name__ == "__main__":
    main()
