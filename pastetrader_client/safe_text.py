"""Texts in the form that the ledger accepts. Nothing here raises: an engine must not fail because of what it
reports."""

MAX_TEXT = 200_000  # characters of a message, an error or a traceback; the ledger may cut them further
WIDEST = 6  # bytes of a non-ASCII character in JSON


def cut(value: str, most: int = MAX_TEXT) -> str:
    """Return the text, without its middle if it is too long."""
    if len(value) <= most:
        return value
    half = most // 2
    return f"{value[:half]}\n... [{len(value) - 2 * half:,} characters left out] ...\n{value[-half:]}"


def size_of(value: str) -> int:
    """Return an upper bound of the bytes of the text, in constant time."""
    return len(value) if value.isascii() else WIDEST * len(value)


def text_of(value: object) -> str:
    """Return str() of any object."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # its own __str__ may raise anything
        return f"<str() of a {type(value).__name__} failed>"


def message_of(message: object, args: tuple[object, ...]) -> str:
    """Return the message formatted with its arguments, as by logging; message and arguments if they do not fit."""
    try:
        found = str(message) % args if args else str(message)
    except Exception:  # noqa: BLE001  # an argument's own methods may raise too
        found = f"{text_of(message)} {len(args)} arguments that do not fit" if args else text_of(message)
    return found if len(found) <= MAX_TEXT else cut(found)
