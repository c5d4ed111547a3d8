from .expectation_admin import ExpectationAdmin

__all__ = ["ExpectationAdmin"]
