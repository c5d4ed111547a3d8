"""Definitions: Workflow, Node, Edge, and the immutable Graph that runs refer to. A saved graph is always a DAG."""

from ledgerkit.db.models import uuid7
from workflows.history import DefinitionChange
from workflows.retry_config import default_retry_config, retries_in

from .graph import Graph
from .workflow import DEFAULT_TIMEOUT, MAX_NAME, Edge, Node, NodeType, Workflow

__all__ = [
    "DEFAULT_TIMEOUT", "MAX_NAME", "DefinitionChange", "Edge", "Graph", "Node", "NodeType", "Workflow",
    "default_retry_config", "retries_in", "uuid7",
]  # fmt: skip
