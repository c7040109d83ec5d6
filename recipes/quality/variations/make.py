"""Further studies with one fault each, as hospitals and other tools make them, from phantoms with ground truth.

    python recipes/quality/variations/make.py OUT [--only NAME ...]
    python recipes/quality/situations.py OUT

OUT holds one study per name, the phantoms (`_base`, `_dixon`, …) with their truth, and `cases.json`, which says what each was made from.
"""

import argparse
import json
import shutil
from pathlib import Path

import anatomy  # noqa: F401  (registers its cases)
import base
import contrasts  # noqa: F401
import files  # noqa: F401
import pixel_values  # noqa: F401
import places  # noqa: F401
import positions  # noqa: F401
import senders  # noqa: F401


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    base.make_phantoms(options.out)
    for name, one in base.CASES.items():
        if options.only and name not in options.only:
            continue
        shutil.rmtree(options.out / name, ignore_errors=True)
        one.make(options.out / name)
    told = {
        name: {"kind": one.kind, "phantom": one.phantom, "turned_degrees": one.turned_degrees, "must_say": one.must_say} for name, one in base.CASES.items()
    }
    (options.out / "cases.json").write_text(json.dumps(told, indent=1))
    print(f"{len(base.CASES)} studies in {options.out}")


if __name__ == "__main__":
    main()
