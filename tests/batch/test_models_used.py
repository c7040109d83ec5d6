"""A batch uses trusted models only, unless `--allow-unsigned` is given."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="lumbar[cluster] is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from test_trust import model

from lumbar.batch.models_used import models_used
from lumbar.batch.work import JobOptions
from lumbar.errors import ModelError
from lumbar.models.trust import make_key, sign, trust_key


def test_shipped_models_need_no_signature_and_others_do(tmp_path):
    trust = tmp_path / "trust.json"
    trust_key("nobody", "A" * 43 + "=", trust)
    shipped = models_used(JobOptions(), trust, False)
    assert any(name.startswith("spine-sagittal") for name in shipped)
    own = model(tmp_path / "toy")
    job = JobOptions(models=str(own))
    with pytest.raises(ModelError, match="--allow-unsigned"):
        models_used(job, trust, False)
    assert set(models_used(job, trust, True)) == {*shipped, "toy 1.0.0"}
    make_key(tmp_path / "key.pem")
    trust_key("us", sign(own, tmp_path / "key.pem"), trust)
    assert set(models_used(job, trust, False)) == {*shipped, "toy 1.0.0"}
    (own / "table.json").write_text("[666]")
    with pytest.raises(ModelError, match="changed or damaged"):
        models_used(job, trust, True)
