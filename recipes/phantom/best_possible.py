"""Upper bound of the accuracy on phantoms: an ideal observer that is given the exact anatomy, but not the reader's noise or the age.

    python recipes/phantom/best_possible.py [--people 4000]

Grades: the observer predicts the true probabilities of each grade (weighted by 1, 2, 4 and normalised, which minimises the metric). Age: a regression on
all visible features (disc degeneration, narrowing, fat of muscles and marrow, sex), fitted on some people and evaluated on others.
"""

import argparse

import numpy as np

from lumbar.phantom.build import person_degeneration
from lumbar.phantom.degeneration import grade_probabilities
from lumbar.phantom.population import disc_degeneration, muscle_fat, sample_person

WEIGHTS = np.array([1.0, 2.0, 4.0])
GROUPS = {"spinal": [0], "foraminal": [1, 2], "subarticular": [3, 4]}


def score(probabilities: np.ndarray, grades: np.ndarray) -> dict[str, float]:
    """The official score and its parts: people × 5 × 5 (× 3)."""
    parts = {}
    for group, rows in GROUPS.items():
        p, y = probabilities[:, rows].reshape(-1, 3), grades[:, rows].ravel()
        w = WEIGHTS[y]
        parts[group] = float(-(w * np.log(p[np.arange(len(y)), y])).sum() / w.sum())
    severe = (grades[:, 0] == 2).any(axis=1)
    p = np.clip(probabilities[:, 0, :, 2].max(axis=1), 1e-15, 1 - 1e-15)
    w = WEIGHTS[grades[:, 0]].max(axis=1)
    parts["any_severe_spinal"] = float(-(w * np.where(severe, np.log(p), np.log(1 - p))).sum() / w.sum())
    parts["official"] = float(np.mean(list(parts.values())))
    return parts


def age_features(seed: int) -> tuple[list[float], float]:
    person = sample_person(seed)
    degeneration = person_degeneration(person)
    discs = disc_degeneration(person, degeneration.normal)[:8]
    fat = [np.log(value) for value in muscle_fat(person).values()]
    marrow = 0.30 + 0.0042 * (person.age_years - 30) + 0.05 * person.traits[36]
    return [*discs, *degeneration.normal.ravel(), *fat, marrow, float(person.sex == "F")], person.age_years


def quadratic(table: np.ndarray) -> np.ndarray:
    """All features, with squares and products of those of discs, fat and marrow."""
    chief = table[:, [*range(8), *range(33, len(table[0]))]]
    pairs = [chief[:, i] * chief[:, j] for i in range(chief.shape[1]) for j in range(i, chief.shape[1])]
    return np.column_stack([np.ones(len(table)), table, *pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=4000)
    count = parser.parse_args().people
    states = [person_degeneration(sample_person(seed)) for seed in range(count)]
    grades = np.stack([state.grades for state in states])
    probabilities = np.stack([grade_probabilities(state.normal) for state in states])
    probabilities = np.clip(probabilities, 1e-9, 1)
    weighted = probabilities * WEIGHTS
    weighted /= weighted.sum(axis=-1, keepdims=True)
    prior = np.stack([(grades == g).mean(axis=0) for g in range(3)], axis=-1) * WEIGHTS
    prior = np.broadcast_to(prior / prior.sum(axis=-1, keepdims=True), probabilities.shape)
    print(f"synthetic, {count} people")
    for name, predicted in (("weighted prior per column", prior), ("best possible", weighted)):
        print(f"{name:26s}", "  ".join(f"{part} {value:.3f}" for part, value in score(predicted, grades).items()))
    print(f"best possible accuracy {100 * (probabilities.argmax(axis=-1) == grades).mean():.1f} %   majority {100 * (grades == 0).mean():.1f} %")
    rows = [age_features(seed) for seed in range(2 * count)]
    table, ages = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    design = quadratic(table)
    penalty = 1.0 * np.eye(design.shape[1])
    fitted = np.linalg.solve(design[count:].T @ design[count:] + penalty, design[count:].T @ ages[count:])
    error = np.abs(design[:count] @ fitted - ages[:count])
    print(f"age: MAE {error.mean():.2f} years, median age {np.abs(ages[:count] - np.median(ages)).mean():.2f} years")


if __name__ == "__main__":
    main()
