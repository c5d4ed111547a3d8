"""Recording of failures: each one as an occurrence of its fingerprint, once. The caller holds the lock of scan.py, so
nothing else makes fingerprints or occurrences at that time."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count

from executions import limits
from executions.models import ErrorFingerprint, ErrorGroup, ErrorOccurrence, ErrorRule
from workflows.grouping_config import KEY
from workflows.models import Workflow

from .failures import Failure
from .fingerprints import Fingerprint, make_fingerprint, overflow

logger = logging.getLogger(__name__)

type Key = tuple[UUID, str]  # a workflow, and the digest of a fingerprint


@dataclass(frozen=True, slots=True)
class Found:
    """A failure with its fingerprint."""

    failure: Failure
    fingerprint: Fingerprint

    @property
    def key(self) -> Key:
        return self.failure.workflow, self.fingerprint.digest


def record(failures: Sequence[Failure]) -> int:
    """Store what is new in these failures. Return the number of new occurrences."""
    rules = rules_of(failure.workflow for failure in failures)
    found = [Found(failure, fingerprint_of(failure, rules[failure.workflow])) for failure in failures]
    known = _known_fingerprints(found)
    found = _with_overflow([each for each in found if each.key not in known], rules) + [
        each for each in found if each.key in known
    ]
    known |= _known_fingerprints(found)
    known |= _make_fingerprints([each for each in found if each.key not in known])
    return _store_occurrences(found, known)


def fingerprint_of(failure: Failure, rule: ErrorRule) -> Fingerprint:
    """Return its fingerprint. A text that cannot be read must not keep all later failures from being recorded."""
    try:
        return make_fingerprint(failure.message, failure.traceback, failure.node_name, rule)
    except Exception:
        logger.exception("The error of run %s cannot be read.", failure.run)
        return overflow(rule)


def rules_of(workflows: Iterable[UUID]) -> dict[UUID, ErrorRule]:
    """Return the rule of each workflow: TRACEBACK if its config has none, or an unknown one from before the check
    of the config."""
    pks = set(workflows)
    rows = Workflow.objects.filter(pk__in=pks, config__has_key=KEY).values_list("pk", f"config__{KEY}")
    chosen = {pk: ErrorRule(rule) for pk, rule in rows if rule in ErrorRule.values}
    return {pk: chosen.get(pk, ErrorRule.TRACEBACK) for pk in pks}


def _known_fingerprints(found: Iterable[Found]) -> dict[Key, UUID]:
    keys = {each.key for each in found}
    rows = ErrorFingerprint.objects.filter(
        workflow__in={pk for pk, _ in keys}, digest__in={digest for _, digest in keys}
    )
    return {(workflow, digest): pk for pk, workflow, digest in rows.values_list("pk", "workflow_id", "digest")}


def _with_overflow(unknown: list[Found], rules: dict[UUID, ErrorRule]) -> list[Found]:
    """Give the failures beyond the limit of a workflow one fingerprint: their texts differ too much to be grouped."""
    rows = ErrorFingerprint.objects.filter(workflow__in={each.failure.workflow for each in unknown})
    counts = dict(rows.values_list("workflow").annotate(number=Count("pk")).values_list("workflow", "number"))
    room = {pk: max(0, limits.FINGERPRINTS - counts.get(pk, 0)) for pk in rules}
    kept: dict[UUID, set[str]] = {pk: set() for pk in rules}
    replaced: list[Found] = []
    for each in unknown:
        pk, digest = each.key
        if digest not in kept[pk] and len(kept[pk]) >= room[pk]:
            each = Found(each.failure, overflow(rules[pk]))  # noqa: PLW2901  # the list is of what is recorded
        else:
            kept[pk].add(digest)
        replaced.append(each)
    return replaced


def _make_fingerprints(unknown: list[Found]) -> dict[Key, UUID]:
    """Store new fingerprints. One that another workflow of the same owner has joins its group."""
    firsts = {each.key: each for each in sorted(unknown, key=lambda each: each.failure.happened_at, reverse=True)}
    owners = dict(Workflow.objects.filter(pk__in={pk for pk, _ in firsts}).values_list("pk", "owner_id"))
    groups = _groups_of({digest for _, digest in firsts})
    made: dict[Key, UUID] = {}
    for (workflow, digest), each in firsts.items():
        of = owners[workflow], digest
        if of not in groups:
            groups[of] = _make_group(each)
        row = _row_of(each, groups[of])
        row.save(force_insert=True)
        made[workflow, digest] = row.pk
    return made


def _groups_of(digests: set[str]) -> dict[tuple[object, str], UUID]:
    """Return the group that each digest has for the workflows of each owner, the oldest if it was split."""
    rows = ErrorFingerprint.objects.filter(digest__in=digests).order_by("-id")
    return {(owner, digest): group for owner, digest, group in rows.values_list("workflow__owner", "digest", "group")}


def _make_group(found: Found) -> UUID:
    at = found.failure.happened_at
    return ErrorGroup.objects.create(title=found.fingerprint.title, first_seen=at, last_seen=at, opened_at=at).pk


def _row_of(found: Found, group: UUID) -> ErrorFingerprint:
    at, made = found.failure.happened_at, found.fingerprint
    return ErrorFingerprint(
        workflow_id=found.failure.workflow, group_id=group, digest=made.digest, rule=made.rule, title=made.title,
        values=made.values, first_seen=at, last_seen=at,
    )  # fmt: skip


def _store_occurrences(found: list[Found], known: dict[Key, UUID]) -> int:
    """Store the occurrences that are new. The first failure of an attempt stands for the others of its fingerprint."""
    runs = {each.failure.run for each in found}
    rows = ErrorOccurrence.objects.filter(workflow_execution__in=runs)
    there = set(rows.values_list("workflow_execution_id", "attempt", "fingerprint_id"))
    unstored: dict[tuple[UUID, int, UUID], ErrorOccurrence] = {}
    for each in found:
        failure, fingerprint = each.failure, known[each.key]
        key = failure.run, failure.attempt, fingerprint
        if key not in there and key not in unstored:
            unstored[key] = _occurrence(failure, fingerprint)
    ErrorOccurrence.objects.bulk_create(unstored.values())
    return len(unstored)


def _occurrence(failure: Failure, fingerprint: UUID) -> ErrorOccurrence:
    happened_at: datetime = failure.happened_at
    return ErrorOccurrence(
        fingerprint_id=fingerprint, workflow_execution_id=failure.run, attempt=failure.attempt,
        node_execution_id=failure.node, node_name=failure.node_name, happened_at=happened_at,
    )  # fmt: skip
