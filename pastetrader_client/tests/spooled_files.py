"""The files in which reporters keep facts."""

from pathlib import Path


def spooled(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.facts"))
