"""The pages of the admin, each once, for the tests of all pages, the screenshots and the benchmark. Addresses contain
the ids of last night's run (browser/fixture_data.py)."""

from typing import NamedTuple

RUNS = "/admin/executions/workflowexecution/"
RUN_PAGE, NODE_PAGE = f"{RUNS}{{run}}/change/", "/admin/executions/nodeexecution/{node}/change/"
RUN = f"{RUNS}{{failed_run}}/change/"


class View(NamedTuple):
    name: str
    path: str
    shows: str  # a selector of what the page is for
    signed_in: bool = True
    pictured: bool = True
    scroll_to: str = ""
    action: str = ""  # of a list: the page that asks before it, of its first rows


PAGES = (
    View("login", "/admin/login/", "#login-form", signed_in=False),
    View("monitor", "/admin/", ".monitor-tiles"),
    View("runs", RUNS, "#result_list tbody tr"),
    View("runs-failed", f"{RUNS}?status=failed&not_trigger_type=event", "#result_list tbody tr"),
    View("runs-none", f"{RUNS}?status=pending&trigger_type=manual&q=nobody", "#changelist", pictured=False),
    View("find", f"{RUNS}find/?q=prices", ".find-results li", pictured=False),
    View("run", RUN, ".ledger-error"),
    View("run-node", f"{RUN}?node={{failed_node}}", ".node-panel", scroll_to="#node"),
    View("run-compared", f"{RUN}?compare=1", ".durations", scroll_to="#compare"),
    View("run-again", f"{RUNS}{{failed_run}}/rerun/", ".run-form", pictured=False),
    View("workflow-start", f"{RUNS}start/{{workflow}}/", ".run-form", pictured=False),
    View("run-delete", f"{RUNS}{{failed_run}}/delete/", "#content form", pictured=False),
    View("runs-confirm", RUNS, ".confirm-form", pictured=False, action="cancel"),
    View("runs-all", f"{RUNS}bulk/retry/?status=failed", ".confirm-form"),
    View("activity", "/admin/executions/activity/", "#result_list tbody tr"),
    View("bulk-actions", "/admin/executions/bulkaction/", "#changelist", pictured=False),
    View("bulk-action", "/admin/executions/bulkaction/{bulk_action}/change/", ".bulk-progress"),
    View("node", "/admin/executions/nodeexecution/{failed_node}/change/", ".ledger-error"),
    View("nodes", "/admin/executions/nodeexecution/", "#result_list tbody tr", pictured=False),
    View("log", f"{RUNS}{{failed_run}}/logs/", ".log-lines li"),
    View("log-errors", f"{RUNS}{{failed_run}}/logs/?level=error", ".log-lines li", pictured=False),
    View("line", "/admin/executions/executionlog/{line}/change/", ".ledger-head"),
    View("lines", "/admin/executions/executionlog/", "#result_list tbody tr", pictured=False),
    View("workflow", "/admin/workflows/workflow/{workflow}/", ".ledger-facts"),
    View("workflow-edit", "/admin/workflows/workflow/{workflow}/change/", "#workflow_form", pictured=False),
    View("workflows", "/admin/workflows/workflow/", "#result_list tbody tr", pictured=False),
    View("tokens", "/admin/tokens/token/", "#result_list tbody tr", pictured=False),
    View("token", "/admin/tokens/token/{token}/change/", "#content form", pictured=False),
    View("deletions", "/admin/executions/deletion/", "#changelist", pictured=False),
    View("error-groups", "/admin/executions/errorgroup/", "#result_list tbody tr"),
    View("error-group", "/admin/executions/errorgroup/{error_group}/change/", ".error-days"),
    View("upkeep", "/admin/executions/upkeeprun/", "#changelist", pictured=False),
    View("changes", "/admin/workflows/definitionchange/", "#result_list tbody tr", pictured=False),
    View("workflow-changes", "/admin/workflows/workflow/{workflow}/history/", ".ledger-table", pictured=False),
    View("run-completed", f"{RUNS}{{good_run}}/change/", ".ledger-facts", pictured=False),
    View("expectations", "/admin/alerts/expectation/", "#changelist", pictured=False),
    View("alert-rules", "/admin/alerts/rule/", "#changelist", pictured=False),
    View("alert-channels", "/admin/alerts/channel/", "#changelist", pictured=False),
    View("alert-messages", "/admin/alerts/delivery/", "#changelist", pictured=False),
    View("users", "/admin/auth/user/", "#result_list tbody tr", pictured=False),
    View("groups", "/admin/auth/group/", "#changelist", pictured=False),
    View("password", "/admin/password_change/", "#content form", pictured=False),
    View("time-zone", "/admin/time-zone/", "#time-zone", pictured=False),
    View("token-new", "/admin/tokens/token/add/", "#token_form"),
    View("api", "/api/v1/docs/", "#docs .opblock"),
)
