"""The page that refuses for want of a permission names it in the reader's language."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.mark.django_db
def test_a_missing_permission_is_named_in_korean(client: Client) -> None:
    client.force_login(User.objects.create_user("lowly", is_staff=True))
    page = client.get("/admin/executions/workflowexecution/", headers={"accept-language": "ko"})
    assert page.status_code == 403
    assert "워크플로 실행 | 보기" in page.text
    assert "Can view" not in page.text
