"""A head on frozen features of the foraminal networks that sees the levels above and below and the other side, out of fold (needs lumbar[train]).

    python recipes/severity/foramen_context_head.py ../shared/data/rsna2024 runs/foramina --folds 0 1    # RUNS as of `foramina.py`, with checkpoints

The head corrects the logits of the foramen. It is trained on one draw of augmentation of 700 studies that its network was trained on, from three seeds, and
evaluated on the held-out fold with both scales; its probabilities are averaged with the network's own.

Measured, uncalibrated weighted log loss: fold 0 0.4876, with the head after 4 epochs 0.4804, -0.0071 (-0.0117 to -0.0026); fold 1 0.4736, 0.4658, -0.0078
(-0.0119 to -0.0035). It is not packaged yet.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from foramina import CACHE, cached
from scipy.special import softmax
from torch import nn

from lumbar.datasets.foramina import read_foramen_table
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import row_log_losses, weighted_log_loss
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS, STORED_SIZE
from lumbar.severity.foramina.grader import SCALES, Foramina, network_input
from lumbar.severity.foramina.table import targets
from lumbar.severity.learn.axial.augment import change
from lumbar.severity.learn.foramina.network import ForamenNetwork, NetworkOptions
from lumbar.severity.learn.foramina.out_of_fold import KIND
from lumbar.severity.learn.foramina.train import ForamenTraining
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fit import LAST, averaged_weights
from lumbar.training.fold_runs import FoldRuns

WEIGHTS = np.array(GRADE_WEIGHTS)
STUDIES, AT_ONCE, HEADS, BATCH, HIDDEN, DROPOUT = 700, 10, 3, 256, 64, 0.3
EPOCHS = (2, 4, 8)
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("runs", type=Path, help="folder of the foraminal folds")
    parser.add_argument("--folds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    points = sorted(read_foramen_table(arguments.data / "foramina.csv"), key=lambda p: (p.study_id, p.file))
    runs, foramina, y = FoldRuns(arguments.runs, KIND), cached(arguments.runs / CACHE), targets(points)
    folds = runs.folds_of(point.study_id for point in points)
    for fold in arguments.folds:
        network = trained(runs.path(fold) / LAST)
        others = np.flatnonzero((folds != fold) & (y >= 0))
        names = np.random.default_rng(0).permutation(np.unique(foramina.studies[others]))[:STUDIES]
        training, held = others[np.isin(foramina.studies[others], names)], np.flatnonzero((folds == fold) & (y >= 0))
        evaluate(network, foramina, y, training, held, fold)


def trained(checkpoint: Path) -> ForamenNetwork:
    """The network of a fold with its averaged weights."""
    network, prefix = ForamenNetwork(NetworkOptions()), "network."
    network.load_state_dict({name.removeprefix(prefix): value for name, value in averaged_weights(checkpoint).items() if name.startswith(prefix)})
    return network.eval()


def evaluate(network: ForamenNetwork, foramina: Foramina, y: np.ndarray, training: np.ndarray, held: np.ndarray, fold: int) -> None:
    """Train heads of several lengths and print their held-out losses."""
    draw, views = frozen(network, foramina, training, None), [frozen(network, foramina, held, scale) for scale in SCALES]
    before = np.mean([softmax(logits.numpy(), axis=-1) for _, logits in views], axis=0)
    print(f"fold {fold}: {len(held)} foramina, packaged {weighted_log_loss(before, y[held], WEIGHTS):.4f}", flush=True)
    levels = torch.from_numpy(foramina.levels[held])
    for epochs in EPOCHS:
        heads = [fit(draw, torch.from_numpy(y[training]), torch.from_numpy(foramina.levels[training]), epochs, seed) for seed in range(HEADS)]
        with torch.no_grad():
            better = [(logits + head(seen) + level(levels)).softmax(-1).numpy() for head, level in heads for seen, logits in views]
        after = (np.mean(better, axis=0) + before) / 2
        _, owner = np.unique(foramina.studies[held], return_inverse=True)
        weights = WEIGHTS[y[held]]
        gain, total = np.bincount(owner, weights * (row_log_losses(after, y[held]) - row_log_losses(before, y[held]))), np.bincount(owner, weights)
        interval = bootstrap_interval(lambda drawn, gain=gain, total=total: float(gain[drawn].sum() / total[drawn].sum()), np.arange(len(total)))
        loss = weighted_log_loss(after, y[held], WEIGHTS)
        print(f"  {epochs} epochs: {loss:.4f} {interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})", flush=True)


def frozen(network: ForamenNetwork, foramina: Foramina, rows: np.ndarray, scale: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """What a head sees of the foramina `rows` (n, 1280) and the network's logits (n, 3); augmented where there is no `scale`."""
    kept: list[torch.Tensor] = []
    hook = network.token.register_forward_hook(lambda _module, given, _out: kept.append(given[0].float()))
    generator, studies = torch.Generator().manual_seed(7), foramina.studies[rows]
    features, logits = None, torch.zeros(len(rows), 3)
    for names in np.array_split(np.unique(studies), max(1, len(np.unique(studies)) // AT_ONCE)):
        own = np.flatnonzero(np.isin(studies, names))
        part = rows[own]
        if scale is None:
            stored, unmirrored = torch.from_numpy(foramina.crops[part])[:, None].float() / 255, torch.zeros(len(part), dtype=torch.bool)
            x = change(stored, unmirrored, ForamenTraining().augment, generator, (CROP_ROWS, CROP_COLUMNS), nearer=STORED_SIZE / CROP_ROWS, grey=1)
        else:
            x = torch.from_numpy(network_input(foramina.crops[part], scale))
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=scale is None):
            found, _ = network(x, *(torch.from_numpy(values[part]) for values in (foramina.levels, foramina.sides, foramina.studies)))
        one = kept.pop()
        features = torch.zeros(len(rows), one.shape[1]) if features is None else features
        features[own], logits[own] = one, found.float()
    hook.remove()
    return surroundings(features, foramina, rows), logits


def surroundings(features: torch.Tensor, foramina: Foramina, rows: np.ndarray) -> torch.Tensor:
    """(n, 4 × features): of a foramen, of those above and below on its side, and of that on the other side; 0 where there is none."""
    _, study = np.unique(foramina.studies[rows], return_inverse=True)
    level, side = foramina.levels[rows], foramina.sides[rows]
    grid = torch.zeros(study.max() + 1, 2, 7, features.shape[1])
    grid[study, side, level + 1] = features
    return torch.cat([features, grid[study, side, level], grid[study, side, level + 2], grid[study, 1 - side, level + 1]], dim=1)


def fit(draw: tuple[torch.Tensor, torch.Tensor], y: torch.Tensor, levels: torch.Tensor, epochs: int, seed: int) -> tuple[nn.Module, nn.Module]:
    """A head and its offsets by level, both zero before training."""
    torch.manual_seed(seed)
    seen, logits = draw
    width = seen.shape[1]
    head = nn.Sequential(nn.LayerNorm(width), nn.Dropout(DROPOUT), nn.Linear(width, HIDDEN), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 3))
    level = nn.Embedding(5, 3)
    for zero in (head[-1].weight, head[-1].bias, level.weight):
        nn.init.zeros_(zero)
    steps = epochs * len(y) // BATCH
    optimizer = torch.optim.AdamW([*head.parameters(), *level.parameters()], LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(y), (BATCH,))
        losses = nn.functional.cross_entropy(logits[rows] + head(seen[rows]) + level(levels[rows]), y[rows], reduction="none")
        weights = torch.tensor(GRADE_WEIGHTS)[y[rows]]
        optimizer.zero_grad()
        ((losses * weights).sum() / weights.sum()).backward()
        optimizer.step()
        schedule.step()
    return head.eval(), level


if __name__ == "__main__":
    main()
