from .workflows import WorkflowAdmin

__all__ = ["WorkflowAdmin"]
