"""Media types that a client accepts."""

import pytest
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from ledgerkit.rest.renderers import CompactJSONRenderer
from tokens.base_views import LedgerNegotiation

ACCEPTED = ["*/*", "application/json", "application/json; indent=8", "text/html, */*;q=0.1", "application/*", ""]
REFUSED = ["text/html", "application/xml;q=1"]


def select(accept: str, kind: type[DefaultContentNegotiation]) -> tuple[type[BaseRenderer], str]:
    request = Request(APIRequestFactory().get("/", headers={"accept": accept} if accept else {}))
    renderer, media_type = kind().select_renderer(request, [CompactJSONRenderer()])
    return type(renderer), media_type


@pytest.mark.parametrize("accept", ACCEPTED)
def test_a_renderer_is_selected_as_by_rest_framework(accept: str) -> None:
    assert select(accept, LedgerNegotiation) == select(accept, DefaultContentNegotiation)


@pytest.mark.parametrize("accept", REFUSED)
def test_other_media_types_are_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        select(accept, LedgerNegotiation)
