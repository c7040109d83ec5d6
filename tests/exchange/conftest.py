"""Makes the helpers and fixtures beside this file known to its tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from written_objects import cartoon_study, drawn_network, written

__all__ = ["cartoon_study", "drawn_network", "written"]
