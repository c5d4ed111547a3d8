from django.utils.functional import Promise

from ledgerkit.db.exceptions import in_english


class ArchiveError(Exception):
    """The archive cannot be written or read. `sentence` says why, in the language of the reader."""

    def __init__(self, sentence: str | Promise) -> None:
        self.sentence = sentence
        super().__init__(in_english(sentence))
