"""drf-spectacular's settings for the API. Its generator applies them; a project keeps its own for its other views."""

from drf_spectacular.settings import SPECTACULAR_DEFAULTS

DEFAULTS = {
    name: value
    for name, value in SPECTACULAR_DEFAULTS.items()
    if not name.startswith("SERVE_") and name != "DEFAULT_GENERATOR_CLASS"  # which cannot be patched
}
ENUM_NAMES = {
    "ExecutionStatus": "executions.states.ExecutionStatus",
    "TriggerType": "executions.states.TriggerType",
    "LogLevel": "executions.states.LogLevel",
    "BulkVerb": "executions.models.BulkVerb",
    "BulkActionState": "executions.models.BulkActionState",
    "BulkState": "executions.models.BulkState",
    "NodeType": "workflows.models.NodeType",
    "ActivityKind": "executions.models.ActivityKind",
    "ErrorState": "executions.models.ErrorState",
    "ErrorRule": "executions.models.ErrorRule",
    "ErrorChangeAct": "executions.models.ErrorChangeAct",
}  # an app above the ledger adds its own
SETTINGS: dict[str, object] = DEFAULTS | {
    "OAS_VERSION": "3.1.0",
    "TITLE": "PasteTrader executions",
    "VERSION": "1",
    "DESCRIPTION": (
        "The execution ledger: engines report runs of workflows, dashboards read them.\n\n"
        "Every refusal is `application/problem+json` (RFC 9457), a method that an address does not have (405) and a "
        "failure of ours (500) included. Lists are paged by cursor: follow `next`. A parameter that is unknown, empty "
        "or given twice is 400. A body may be packed (`Content-Encoding: gzip` or `zstd`). A field that a "
        "call does not take is 400; an update of a workflow ignores read-only ones. No document may hold the character "
        "NUL, and none is nested deeper than 64 levels."
    ),
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": ENUM_NAMES,
    "AUTHENTICATION_WHITELIST": [
        "tokens.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "executions.api.schema.postprocessing.complete",
    ],
}
