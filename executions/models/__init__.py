"""The models of the ledger, one module each."""

from executions.states import ErrorCode, ExecutionStatus, LogLevel, TriggerType

from .activity import Activity, ActivityKind
from .archive import ArchivedRun, ArchiveFile, ArchiveKind
from .attempt import NodeExecutionAttempt, WorkflowExecutionAttempt
from .bulk_action import BulkAction, BulkActionRun, BulkActionState, BulkState, BulkVerb
from .error_group import ErrorChangeAct, ErrorFingerprint, ErrorGroup, ErrorGroupChange, ErrorRule, ErrorState
from .error_occurrence import ErrorDay, ErrorNode, ErrorOccurrence, ErrorScan
from .history import Deletion, HistoryEntry
from .kept_run import KeptRun
from .lease import NodeExecutionLease, WorkflowExecutionLease
from .log import ExecutionLog
from .log_removal import DroppedLines, LogRemoval
from .node_execution import NodeExecution
from .recorded_act import RecordedAct, RecordedActName
from .rollup import RollupChange, RollupPeriod, RollupResult
from .run_note import NoteAct, RunNote
from .saved_view import Listed, SavedView
from .upkeep_run import UpkeepRun
from .workflow_execution import WorkflowExecution

__all__ = [
    "Activity",
    "ActivityKind",
    "ArchiveFile",
    "ArchiveKind",
    "ArchivedRun",
    "BulkAction",
    "BulkActionRun",
    "BulkActionState",
    "BulkState",
    "BulkVerb",
    "Deletion",
    "DroppedLines",
    "ErrorChangeAct",
    "ErrorCode",
    "ErrorDay",
    "ErrorFingerprint",
    "ErrorGroup",
    "ErrorGroupChange",
    "ErrorNode",
    "ErrorOccurrence",
    "ErrorRule",
    "ErrorScan",
    "ErrorState",
    "ExecutionLog",
    "ExecutionStatus",
    "HistoryEntry",
    "KeptRun",
    "Listed",
    "LogLevel",
    "LogRemoval",
    "NodeExecution",
    "NodeExecutionAttempt",
    "NodeExecutionLease",
    "NoteAct",
    "RecordedAct",
    "RecordedActName",
    "RollupChange",
    "RollupPeriod",
    "RollupResult",
    "RunNote",
    "SavedView",
    "TriggerType",
    "UpkeepRun",
    "WorkflowExecution",
    "WorkflowExecutionAttempt",
    "WorkflowExecutionLease",
]
