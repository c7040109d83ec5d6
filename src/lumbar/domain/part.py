"""The common result of every task: its contribution to an analysis."""

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
    unmet: bool = False  # no usable series or model; exit code 4 if the task was requested by name
    evidence: Any = None  # masks, crops and heat maps, from which the report draws its images
    checks: tuple[Check, ...] = ()  # of the result, made by the task itself
