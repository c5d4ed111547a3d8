"""JSON is what REST framework's renderer makes of the same data."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import ErrorDetail
from rest_framework.renderers import JSONRenderer

from ledgerkit.rest.renderers import CompactJSONRenderer


@pytest.mark.parametrize(
    "data",
    [
        {"id": UUID(int=7), "at": datetime(2026, 3, 1, 9, 0, 0, 5, UTC), "whole": datetime(2026, 3, 1, tzinfo=UTC)},
        [2**70, -(2**70), 0.1, 1e-7, 1e300, -0.0, True, None],
        {"detail": [ErrorDetail("no", "code")], "text": gettext_lazy("yes")},
        "한 \u2028 \x00 </script>",
    ],
)
def test_values_of_every_type(data: object) -> None:
    assert json.loads(CompactJSONRenderer().render(data)) == json.loads(JSONRenderer().render(data))


def test_no_data_is_an_empty_body() -> None:
    assert CompactJSONRenderer().render(None) == b""
