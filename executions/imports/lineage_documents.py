"""Access to parts of the document of an OpenLineage event."""

from .conversion import Document, get

MAX_DATASETS = 100  # of a node
AFTER = "downstream_task_ids"  # of a task of Airflow


def parent_facet(document: Document, key: str) -> object:
    return get(document, "run", "facets", "parent", key, default=None)


def error_of(document: Document, key: str) -> str | None:
    found: str | None = get(document, "run", "facets", "errorMessage", key, of=str, default=None)
    return found


def facets_of(document: Document, of: str) -> Document:
    found: Document = get(document, of, "facets", default={})
    return found


def is_statement(document: Document) -> bool:
    return job_type(document) == "SQL"


def job_type(document: Document) -> str:
    return str(get(document, "job", "facets", "jobType", "jobType", of=str, default=""))


def airflow_tasks(document: Document) -> dict[str, object]:
    """Return the tasks, with their edges, that Airflow lists in the event."""
    tasks = get(document, "job", "facets", "airflow", "tasks", default={})
    return {name: task for name, task in tasks.items() if isinstance(get(task, AFTER, of=list, default=[]), list)}


def dataset_names(document: Document, side: str) -> set[str]:
    listed = get(document, side, of=list, default=[])
    named = (each for each in listed[:MAX_DATASETS] if isinstance(each, dict))
    return {f"{each.get('namespace')} {each.get('name')}" for each in named}
