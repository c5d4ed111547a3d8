"""Mask the texts of facts by all secrets of their run, while no connection is held."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError

from executions import masking
from executions.masking import Fields
from executions.secrets import run_secrets
from executions.secrets.scrubber import Scrubber
from ledgerkit.conf import ledgerkit_settings

from .fact_kinds import Reported
from .refusals import BadFact

type Secrets = Mapping[UUID, run_secrets.RunSecrets | Exception]


class Masker:
    """Masks the texts as they were sent, by all secrets found so far. A second try starts from the sent texts again:
    the run may have more secrets by then, and a masked and cut text could hold a part of one."""

    def __init__(self) -> None:
        self.found: dict[UUID, frozenset[str]] = {}
        self._sent: dict[UUID, list[Fields]] = {}
        self._plain = run_secrets.without_secrets(ledgerkit_settings.SECRET_KEYS_EXTRA)

    def mask(self, run: UUID, facts: Sequence[Reported], secrets: Secrets) -> run_secrets.RunSecrets:
        """Mask the texts of the facts of a run. Return its secrets, with those found in the texts. Raises BadFact if
        the secrets are too many or too long. If the run's secrets are unavailable, texts do not change; the plan
        refuses them."""
        known = secrets.get(run, self._plain)
        if isinstance(known, Exception):
            return self._plain
        sent = self._sent.setdefault(run, [reported.texts for reported in facts])
        known = self._with(known, self.found.get(run, frozenset()))
        masked = masking.mask_all_by_known(sent, known)
        if masked is None:
            known, masked = self._mask_with_new(run, sent, known)
        for reported, texts in zip(facts, masked, strict=True):
            reported.texts = texts
        return known

    def _mask_with_new(
        self, run: UUID, sent: list[Fields], known: run_secrets.RunSecrets
    ) -> tuple[run_secrets.RunSecrets, list[Fields]]:
        """Mask texts that hold new secrets. Return all secrets of the run, and the texts."""
        more, masked = _mask_all(run, sent, known)
        if more:
            self.found[run] = self.found.get(run, frozenset()) | more
            if known.scrubber.values:  # what was found was masked alone
                _more, masked = _mask_all(run, sent, self._with(known, more))
        return self._with(known, more), masked

    @staticmethod
    def _with(known: run_secrets.RunSecrets, more: frozenset[str]) -> run_secrets.RunSecrets:
        if more <= known.scrubber.values:
            return known
        return run_secrets.RunSecrets(
            Scrubber(known.scrubber.values | more, ledgerkit_settings.SECRET_KEYS_EXTRA), known.encrypted
        )

    def values(self) -> frozenset[str]:
        """Return all secrets that were found."""
        return frozenset().union(*self.found.values())


def _mask_all(run: UUID, sent: list[Fields], known: run_secrets.RunSecrets) -> tuple[frozenset[str], list[Fields]]:
    """Return the new secrets in these texts, and the masked texts."""
    pieces = [masking.FieldValues(run, dict(texts)) for texts in sent]
    try:
        more, _now = masking.mask(pieces, "report", new=True, known={run: known})
    except ValidationError as error:
        raise BadFact("invalid", " ".join(error.messages)) from None
    return frozenset(more.get(run, ())), [piece.fields for piece in pieces]
