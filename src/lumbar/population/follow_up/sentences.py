"""What changed between two examinations, in sentences for the structured report."""

from lumbar.population.follow_up.compare import CHANGED, Change, Comparison

_UNITS = ("_mm2", "_mm", "_ml", "_degrees", "_percent", "_years")


def sentences(comparison: Comparison, since: str) -> tuple[str, ...]:
    """One sentence for each change beyond measurement error, and one on those whose error is not certain.

    Args:
        comparison: of the earlier and this examination.
        since: date of the earlier examination, as people read it; empty if unknown.
    """
    when = f"the earlier examination{f' of {since}' if since else ''}"
    changed = [change for change in comparison.changes if change.verdict == CHANGED]
    sure = [f"Change since {when}: {_told(change)}." for change in changed if not change.note]
    doubted = len(changed) - len(sure)
    if doubted:
        sure.append(f"{doubted} further values differ from {when}, but their measurement error is not certain.")
    return tuple(sure) or (f"No value changed by more than its measurement error since {when}.",)


def _told(change: Change) -> str:
    name = next((change.finding.removesuffix(unit) for unit in _UNITS if change.finding.endswith(unit)), change.finding).replace("_", " ")
    place = " ".join(part for part in (change.side, change.level, change.structure.replace("_", " ")) if part)
    limit = "" if change.least_reliable_change is None else f", smallest reliable change {change.least_reliable_change:.2f}"
    return f"{place}, {name}: {change.earlier:.2f} to {change.later:.2f} {change.unit}{limit}"
