"""Writes src/lumbar/models/shipped.json, the hashes of the cards of all models in the package. Run it whenever one of them changes."""

import json
from pathlib import Path

from lumbar.models import trust

if __name__ == "__main__":
    target = Path(trust.__file__).with_name(trust.SHIPPED_FILE)
    target.write_text(json.dumps(trust.list_shipped(), indent=2) + "\n", encoding="utf-8")
    print(f"{target}: {len(trust.list_shipped())} models")
