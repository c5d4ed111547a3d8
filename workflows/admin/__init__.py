from .definition_history import DefinitionChangeAdmin
from .workflow_admin import WorkflowAdmin

__all__ = ["DefinitionChangeAdmin", "WorkflowAdmin"]
