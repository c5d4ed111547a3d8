from typing import Any

import pytest


@pytest.mark.parametrize("path", ["/admin/?q=%00", "/admin/r/6/%00/", "/api/v1/executions/?cursor=%00", "/%00"])
def test_a_nul_in_an_address_is_400(client: Any, path: str) -> None:
    assert client.get(path).status_code == 400


def test_a_nul_in_a_cookie_is_400(client: Any) -> None:
    client.cookies["pastetrader_session"] = "\x00" + "a" * 31
    assert client.get("/admin/").status_code == 400
