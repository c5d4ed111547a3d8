"""Pages of the whole site, with its middleware, where a proxy names the path prefix in a header of each request."""

import io
from typing import Any

import pytest

from executions.secrets.scrubber import MASK
from pastetrader.prefix_patterns import probe_pattern
from pastetrader.tests.asgi_requests import request_site

PREFIX = "/ledger"


@pytest.fixture(autouse=True)
def site(settings: Any) -> Any:
    settings.TRUST_FORWARDED_PREFIX = True
    return settings


def get(address: str) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of the answer."""
    sent = request_site(address, (b"x-forwarded-prefix", PREFIX.encode()))
    return sent[0]["status"], {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("above", ["", PREFIX])
def test_redirects_lead_below_the_prefix(above: str) -> None:
    assert get(f"{above}/")[1]["location"] == f"{PREFIX}/admin/"
    login = f"{PREFIX}/admin/login/?next={PREFIX}/admin/"
    status, headers = get(f"{above}/admin/")
    assert (status, headers["location"]) == (302, login)


@pytest.mark.parametrize("above", ["", PREFIX])
def test_a_line_of_the_log_shows_the_prefix_and_our_own_words(above: str, log: io.StringIO) -> None:
    assert get(f"{above}/static/admin/css/base.0123456789ab.css")[0] == 404
    assert get(f"{above}/hunter2/")[0] == 404
    static, other = log.getvalue().splitlines()
    assert f"Not Found: {PREFIX}/static/admin/css/base.0123456789ab.css [" in static
    assert f"Not Found: {PREFIX}/{MASK}/ [" in other


@pytest.mark.parametrize("above", ["", PREFIX])
def test_probes_come_by_http_and_pages_by_https(above: str, site: Any) -> None:
    site.SECURE_SSL_REDIRECT = True
    site.SECURE_REDIRECT_EXEMPT = [probe_pattern("", named_by_proxy=True)]
    site.METRICS_TOKEN = "a-token-of-the-metrics"
    assert [get(f"{above}{probe}")[0] for probe in ("/healthz", "/metrics")] == [200, 401]
    assert get(f"{above}/admin/")[1]["location"] == f"https://localhost{PREFIX}/admin/"
