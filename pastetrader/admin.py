"""Admin of users and groups: Django's own, but strict about selected rows and with translated permissions."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledgerkit.admin.lists import SelectedAdmin
from ledgerkit.types import Context

# Django stores permission names, such as "Can add workflow", in English.
MAY = {"add": _("Add"), "change": _("Change"), "delete": _("Delete"), "view": _("View")}

# Django's sidebar is opened by a script, which would shift every page. base_site.html has the same links in a row.
admin.site.enable_nav_sidebar = False
admin.site.site_url = None  # the admin is the site
admin.site.empty_value_display = "–"  # as on the ledger's own pages

for model in (User, Group):
    admin.site.unregister(model)


def permission_label(permission: Any) -> str:
    act = permission.codename.partition("_")[0]
    return f"{permission.content_type} | {MAY.get(act) or gettext(permission.name)}"


class NamedPermissions(SelectedAdmin):
    def changelist_view(self, request: HttpRequest, extra_context: Context | None = None) -> HttpResponse:
        """Title the list by its rows, as all others are: Django asks to select one."""
        title = {"title": str(self.opts.verbose_name_plural).capitalize()}
        return super().changelist_view(request, title | (extra_context or {}))

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and db_field.related_model is Permission:
            field.label_from_instance = permission_label
        elif field is not None and db_field.related_model is Group:
            field.label_from_instance = lambda group: gettext(
                group.name
            )  # the groups created by migrate have translated names
        return field


@admin.register(User)
class StrictUserAdmin(NamedPermissions, UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    pass


@admin.register(Group)
class StrictGroupAdmin(NamedPermissions, GroupAdmin):
    pass
