"""The setting `WORKFLOWS`: limits of one workflow."""

from ledgerkit.conf import AppSettings, Number


class WorkflowsSettings(AppSettings):
    MAX_NODES = Number(5_000, least=1)
    MAX_EDGES = Number(20_000, least=1)


workflows_settings = WorkflowsSettings("WORKFLOWS")
