from .expectation import Expectation, ExpectationKind, Miss
from .scan import Scan

__all__ = ["Expectation", "ExpectationKind", "Miss", "Scan"]
