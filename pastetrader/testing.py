"""`manage.py test` is pytest: one suite, whichever command starts it."""

from collections.abc import Sequence
from typing import Any

import pytest


class PytestRunner:
    """Django's test runner protocol: the labels and options go on to pytest, its exit code comes back."""

    def __init__(self, *, verbosity: int = 1, failfast: bool = False, keepdb: bool = False, **options: Any) -> None:
        self.arguments = [
            *(["-q"] if verbosity == 0 else ["-v"] * (verbosity - 1)),
            *(["--exitfirst"] if failfast else []),
            *(["--reuse-db"] if keepdb else []),
            *(part for pattern in options.get("test_name_patterns") or () for part in ("-k", pattern.strip("*"))),
        ]

    def run_tests(self, test_labels: Sequence[str], **_: Any) -> int:
        return int(pytest.main([*self.arguments, *test_labels]))
