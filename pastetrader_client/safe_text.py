"""Texts as the ledger takes them. Nothing here raises: an engine must not fail because of what it reports."""

MAX_TEXT = 200_000  # characters of a message, an error or a traceback, which the ledger cuts further
WIDEST = 6  # bytes of a character that is not ASCII, as JSON


def cut(value: str, most: int = MAX_TEXT) -> str:
    """Return the text, without its middle if it is too long."""
    if len(value) <= most:
        return value
    half = most // 2
    return f"{value[:half]}\n... [{len(value) - 2 * half:,} characters left out] ...\n{value[-half:]}"


def size_of(value: str) -> int:
    """Return the bytes that the text needs at most, in no time."""
    return len(value) if value.isascii() else WIDEST * len(value)


def text_of(value: object) -> str:
    """Return str() of any object."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # whatever its own method raises
        return f"<str() of a {type(value).__name__} failed>"


def message_of(message: object, args: tuple[object, ...]) -> str:
    """Return the message with its arguments, as logging does it; both if they do not fit."""
    try:
        found = str(message) % args if args else str(message)
    except Exception:  # noqa: BLE001  # of an argument's own methods too
        found = f"{text_of(message)} {len(args)} arguments that do not fit" if args else text_of(message)
    return found if len(found) <= MAX_TEXT else cut(found)
