"""Users and groups: Django's own pages, as strict about selected rows as ours."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from workflows.admin.lists import SelectedAdmin

for model in (User, Group):
    admin.site.unregister(model)


@admin.register(User)
class StrictUserAdmin(SelectedAdmin, UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    pass


@admin.register(Group)
class StrictGroupAdmin(SelectedAdmin, GroupAdmin):
    pass
