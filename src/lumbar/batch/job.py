"""One study of a batch, in a process that has loaded the models before: read, analyze, write, thumbnails."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lumbar import __version__
from lumbar.batch.fetch import local_copy
from lumbar.batch.fingerprint import content_hash
from lumbar.batch.staging import staged
from lumbar.batch.thumbnails import write_thumbnails
from lumbar.io.read import read_study
from lumbar.pipeline import Request, analyze, load_models
from lumbar.report.write import write_analysis


class AnalyzeJob:
    """Does studies one after another as `lumbar analyze` would."""

    def __init__(self, tasks: Sequence[str] | None, models: str | None, threads: int) -> None:
        self._tasks = tuple(tasks) if tasks else None
        self._models = load_models(Path(models) if models else None, threads, Request(self._tasks).loaded_tasks)

    def __call__(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do one study, a `Work` as plain values; its folder is in place when this returns."""
        with local_copy(message["source"]) as (path, remote):
            facts = {"version": __version__} | ({"content": content_hash(path)} if remote else {})
            study = read_study(path)
        request = Request(self._tasks, message.get("age_years"), message.get("sex"))
        out = Path(message["out"])
        with staged(out, message["study"]) as stage:
            analysis = write_analysis(analyze(study, self._models, request), stage)
            document = write_thumbnails(stage)
        unmet = analysis.findings.unmet_tasks
        return {
            **facts,
            "status": "partial" if unmet else "done",
            "reason": f"no usable series or model for: {', '.join(unmet)}" if unmet else "",
            "quality": (document.get("quality") or {}).get("status", ""),
            "age_years": study.patient.age_years if message.get("age_years") is None else message["age_years"],
            "sex": message.get("sex") or study.patient.sex,
        }
