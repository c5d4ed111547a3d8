"""The browser looks at every list of the admin."""

import pytest
from django.contrib import admin
from django.db.models import Model
from django.urls import reverse

from browser.pages import PAGES


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model.__name__)
def test_every_list_of_the_admin_is_looked_at(model: type[Model]) -> None:
    listed = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert listed in {view.path for view in PAGES}
