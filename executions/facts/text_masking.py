"""The texts of facts, masked by all that their run keeps secret, before a connection is used."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError

from executions import masking
from executions.secrets import run_secrets
from executions.secrets.scrubber import Scrubber
from ledgerkit.conf import ledgerkit_settings

from .fact_kinds import Reported
from .refusals import BadFact

type Secrets = Mapping[UUID, run_secrets.RunSecrets | Exception]


class Masker:
    """Masks the texts as they were sent, with everything that was found so far: a second try finds more secrets of the
    run, and a text that was cut already could hold a part of one."""

    def __init__(self) -> None:
        self.found: dict[UUID, frozenset[str]] = {}
        self._sent: dict[UUID, list[dict[str, object]]] = {}
        self._plain = run_secrets.RunSecrets(Scrubber(extra=ledgerkit_settings.SECRET_KEYS_EXTRA))

    def mask(self, run: UUID, facts: Sequence[Reported], secrets: Secrets) -> run_secrets.RunSecrets:
        """Mask the texts of the facts of a run, and return what is known of its secrets then. Raises BadFact if they
        are too many or too long. If the run's secrets are unavailable, texts are left alone; the plan refuses them."""
        known = secrets.get(run, self._plain)
        if isinstance(known, Exception):
            return self._plain
        self._sent.setdefault(run, [reported.texts for reported in facts])
        known = self._with(known, self.found.get(run, frozenset()))
        if more := self._mask(run, facts, known):
            self.found[run] = self.found.get(run, frozenset()) | more
            if known.scrubber.values:  # what was found was masked alone
                self._mask(run, facts, self._with(known, more))
            known = self._with(known, more)
        return known

    def _mask(self, run: UUID, facts: Sequence[Reported], known: run_secrets.RunSecrets) -> frozenset[str]:
        """Mask what was sent. Return the secrets in it that are not known."""
        for reported, sent in zip(facts, self._sent[run], strict=True):
            reported.texts = dict(sent)
        pieces = [masking.FieldValues(run, reported.texts) for reported in facts if reported.texts]
        try:
            more, _now = masking.mask(pieces, "report", new=True, known={run: known})
        except ValidationError as error:
            raise BadFact("invalid", " ".join(error.messages)) from None
        return frozenset(more.get(run, ()))

    @staticmethod
    def _with(known: run_secrets.RunSecrets, more: frozenset[str]) -> run_secrets.RunSecrets:
        if more <= known.scrubber.values:
            return known
        return run_secrets.RunSecrets(
            Scrubber(known.scrubber.values | more, ledgerkit_settings.SECRET_KEYS_EXTRA), known.encrypted
        )

    def values(self) -> frozenset[str]:
        """Return everything that was found."""
        return frozenset().union(*self.found.values())
