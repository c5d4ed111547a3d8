from .definition_history import DefinitionChangeAdmin
from .workflows import WorkflowAdmin

__all__ = ["DefinitionChangeAdmin", "WorkflowAdmin"]
