"""The texts of facts, masked by all that their run keeps secret, before a connection is used."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError

from executions import masking, run_secrets
from executions.encryption import extra_keys
from executions.secrets import Scrubber

from .facts import Reported
from .refusals import BadFact

type Secrets = Mapping[UUID, run_secrets.RunSecrets | Exception]


class Masker:
    """Remembers what it finds: a second try finds only masks."""

    def __init__(self) -> None:
        self.found: dict[UUID, frozenset[str]] = {}
        self._plain = run_secrets.RunSecrets(Scrubber(extra=extra_keys()))

    def mask(self, run: UUID, facts: Sequence[Reported], secrets: Secrets) -> run_secrets.RunSecrets:
        """Mask the texts of the facts of a run, in place, and return what is known of its secrets then. Raises BadFact
        where they are too many or too long. Where the run's own are unknown, nothing is masked: nothing is stored."""
        known = secrets.get(run, self._plain)
        if isinstance(known, Exception):
            return self._plain
        before = known.scrubber.values
        known = self._with(known, self.found.get(run, frozenset()))
        pieces = [masking.FieldValues(run, reported.texts) for reported in facts if reported.texts]
        try:
            more, _now = masking.mask(pieces, "report", new=True, known={run: known})
        except ValidationError as error:
            raise BadFact("invalid", " ".join(error.messages)) from None
        if found := frozenset(more.get(run, ())):
            self.found[run] = self.found.get(run, frozenset()) | found
            if known.scrubber.values:  # what was found was masked alone
                masking.mask(pieces, "report", new=True, known={run: self._with(known, found)})
        return self._with(known, self.found.get(run, frozenset()) - before)

    @staticmethod
    def _with(known: run_secrets.RunSecrets, more: frozenset[str]) -> run_secrets.RunSecrets:
        if more <= known.scrubber.values:
            return known
        return run_secrets.RunSecrets(Scrubber(known.scrubber.values | more, extra_keys()), known.encrypted)

    def values(self) -> frozenset[str]:
        """Return everything that was found."""
        return frozenset().union(*self.found.values())
