"""The responses of the API to the exceptions of definitions (workflows/exceptions.py)."""

from ledgerkit.rest.problems import Rule, register
from workflows.exceptions import CyclicGraph, HasHistory, StaleObject

register(
    Rule(StaleObject, 409, "stale_object"),
    Rule(HasHistory, 409, "has_history"),
    Rule(CyclicGraph, 400, "cyclic_graph"),
)
