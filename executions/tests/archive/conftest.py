from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def archive(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """The folder of the archive, which is made by the first file."""
    settings.EXECUTIONS = settings.EXECUTIONS | {"ARCHIVE": str(tmp_path / "archive")}
    return tmp_path / "archive"
