"""Measures of the code's language and of its call paths: `make measure`.

`python -m benches.measure [--list] [--root CHECKOUT]` prints the measures of the code; `--list` names each docstring
and function that counts. It reads the files alone, also those of another checkout.
"""

import argparse
import sys
from pathlib import Path

from benches import prose


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--list", action="store_true", help="name each docstring and function that counts")
    options.add_argument("--root", type=Path, default=prose.ROOT, help="another checkout")
    chosen = options.parse_args()
    found = prose.measure(chosen.root)
    if chosen.list:
        sys.stdout.write("\n".join([*found.fragments, *found.participles]) + "\n")
    sys.stdout.write(prose.report(found) + "\n")


if __name__ == "__main__":
    main()
