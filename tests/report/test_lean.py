"""What the lean install leaves out is not needed by an analysis, and asked for by name where it is."""

import subprocess
import sys

import pytest

from lumbar.errors import UsageError
from lumbar.report.research.figures import new_figure

COMMANDS = ("analyze", "evaluate_severity", "evaluate_muscle", "explore_rsna2024")
WITHOUT = f"import sys; sys.modules['matplotlib'] = None; import {', '.join(f'lumbar.cli.{name}' for name in COMMANDS)}"


def test_commands_start_without_matplotlib():
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)


def test_figures_name_the_extra_that_brings_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"lumbar\[stats\]"):
        new_figure()
