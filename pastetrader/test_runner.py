"""Test runner of `manage.py test`, which runs pytest."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

import pytest


class PytestRunner:
    """Implements Django's test runner interface: passes labels and options to pytest and returns its exit code."""

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("-k", dest="keyword", help="run the tests whose names match this expression of pytest")
        parser.add_argument("--keepdb", action="store_true", help="keep the test database for the next run")

    def __init__(self, *, verbosity: int = 1, failfast: bool = False, **options: Any) -> None:
        self.arguments = [
            *(["-q"] if verbosity == 0 else ["-v"] * (verbosity - 1)),
            *(["--exitfirst"] if failfast else []),
            *(["--reuse-db"] if options.get("keepdb") else []),
            *(["-k", keyword] if (keyword := options.get("keyword")) else []),
        ]

    def run_tests(self, test_labels: Sequence[str], **_: Any) -> int:
        if code := pytest.main([*self.arguments, *test_labels]):
            sys.exit(code)  # Django would exit with 1 for each of pytest's exit codes
        return 0
