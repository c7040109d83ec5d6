"""What one task contributes to an analysis: the common result of every task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lumbar.domain.findings import ModelUse
from lumbar.domain.quality import Check


@dataclass(frozen=True, eq=False)
class Part:
    """The result of one task on one study."""

    task: str
    findings: Mapping[str, Any] = field(default_factory=dict)  # fields of `Findings` that the task fills; see also `Findings.extra`
    models: tuple[ModelUse, ...] = ()  # that took part
    warnings: tuple[str, ...] = ()
    unmet: bool = False  # no usable series or model: worth an exit code of its own if the task was requested by name
    evidence: Any = None  # masks, crops, heat maps: what the images of the report are drawn from
    checks: tuple[Check, ...] = ()  # that the task has made of its own result
