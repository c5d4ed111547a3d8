"""Types of command line arguments."""

from argparse import ArgumentTypeError


def utf8(word: str) -> str:
    """Return the word. Raises ArgumentTypeError for bytes that are no UTF-8, which Python passes as lone surrogates and
    PostgreSQL does not take."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError("expected text in UTF-8") from None
    return word
