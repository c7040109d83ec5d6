"""Grade frequencies by level: writes the model folder of the constant prediction, and prints its official score.

python recipes/severity/prior.py ../shared/data/rsna2024/train.csv -o src/lumbar/models/weights/severity-prior
"""

import argparse
from pathlib import Path

import numpy as np

from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.io.staging import staged_folder
from lumbar.models.card import Card, Result, TrainingData
from lumbar.models.folder import Model, write_card
from lumbar.severity.evaluate import evaluate
from lumbar.severity.prior import TASK, Prior


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path, help="train.csv of the RSNA 2024 data set")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true")
    arguments = parser.parse_args()
    grades = read_grades(arguments.truth)
    shares: dict[str, dict[str, list[float]]] = {}
    for condition in Condition:
        for level in Level:
            column = row_id("", condition, level)[1:]
            counts = np.array([sum(row[column] is grade for row in grades.values()) for grade in Severity])
            shares.setdefault(condition.value, {})[level.slug] = (counts / counts.sum()).tolist()
    card = make_card(shares, len(grades), ())
    prior = Prior(Model(arguments.out, card, (), ""))
    predictions = {row_id(study, c, v): prior.metric(c, v) for study in grades for c in Condition for v in Level}
    score = evaluate(predictions, grades, repeats=2).score.official_score
    print(f"official score of the weighted frequencies on the same {len(grades)} studies: {score:.3f}")
    with staged_folder(arguments.out, arguments.overwrite) as folder:
        data = f"the {len(grades)} studies from which the frequencies were computed; without images"
        write_card(folder, make_card(shares, len(grades), (Result("all", "official_score", round(score, 4), data, headline=True),)))


def make_card(shares: dict[str, dict[str, list[float]]], studies: int, results: tuple[Result, ...]) -> Card:
    return Card(
        name="severity-prior",
        version="1",
        task=TASK,
        description="Frequencies of normal/mild, moderate and severe for each condition and level. Independent of the images.",
        intended_use="Fills in where no image was graded, and is marked as such. Gives no information on the individual patient. Research use only.",
        inputs=(),
        outputs=(),
        classes=tuple(severity.value for severity in Severity),
        training_data=(
            TrainingData(
                "shares counted in the label table of the RSNA 2024 lumbar spine data set",
                "75 aggregate figures; the source table is for non-commercial research",
                f"{studies} studies of a challenge cohort: other populations differ",
            ),
        ),
        results=results,
        parameters={"shares": shares},
    )


if __name__ == "__main__":
    main()
