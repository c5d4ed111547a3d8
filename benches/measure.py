"""Measures of the code's language and of its call paths: `make measure`.

`python -m benches.measure [--list] [--root CHECKOUT]` prints the measures of the code; `--list` names each place
that counts but those of `Any`, which `--any` names. It reads the files alone, also those of another checkout.
"""

import argparse
import sys
from pathlib import Path

from . import readability


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--list", action="store_true", help="name each place that counts")
    options.add_argument("--any", action="store_true", help="name each use of Any")
    options.add_argument("--root", type=Path, default=readability.ROOT, help="another checkout")
    chosen = options.parse_args()
    found = readability.measure(chosen.root)
    of_tests, of_tools = readability.measure_tests(chosen.root), readability.measure_tools(chosen.root)
    if chosen.any:
        sys.stdout.write("\n".join(found.anys) + "\n")
    if chosen.list:
        places = [
            *found.fragments,
            *found.participles,
            *found.private_uses,
            *found.private_uses_of_servers,
            *found.long_modules,
            *of_tests.fragments,
            *of_tests.participles,
            *of_tools.fragments,
            *of_tools.participles,
            *found.vague_words,
            *of_tests.vague_words,
            *of_tools.vague_words,
        ]
        sys.stdout.write("\n".join(places) + "\n")
    sys.stdout.write(readability.report(found, of_tests, of_tools) + "\n")


if __name__ == "__main__":
    main()
