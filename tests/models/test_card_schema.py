"""Figures on cards: typed, and readable from cards of the first schema."""

import json
from pathlib import Path

from lumbar.models.card import CARD_FILE, Result, read_card
from lumbar.models.folder import check_folder
from lumbar.models.registry import model_folders


def test_every_shipped_figure_names_its_structure_metric_and_data() -> None:
    for folder in model_folders():
        card = check_folder(folder)
        assert card.results
        assert all(result.structure and result.metric and result.data for result in card.results)
        assert any(result.headline for result in card.results), card.name
        assert all(result.interval is None or result.interval[0] <= result.value <= result.interval[1] for result in card.results)


def test_a_card_of_the_first_schema_still_loads(tmp_path: Path) -> None:
    document = json.loads((model_folders()[-1] / CARD_FILE).read_text(encoding="utf-8"))
    document |= {"schema": 1, "files": {}, "results": [{"name": "canal: loss", "value": 0.3, "data": "two people"}]}
    (tmp_path / CARD_FILE).write_text(json.dumps(document), encoding="utf-8")
    assert read_card(tmp_path).results == (Result("", "canal: loss", 0.3, "two people"),)


def test_a_figure_reads_as_a_sentence_with_its_interval() -> None:
    assert Result("both recesses", "auc_severe", 0.9391, "x", (0.92, 0.95)).text == "both recesses auc severe 0.939 (0.92 to 0.95)"
