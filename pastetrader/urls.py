"""URLs of the site: the admin for people, the API for programs."""

from django.contrib import admin
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView
from django.views.i18n import set_language

from executions.admin.monitor import front_page
from ledgerkit import time_zones
from pastetrader.login_throttle import own_name, posted_name, throttle_login
from pastetrader.redirects import check_next

admin.site.site_header = admin.site.site_title = "PasteTrader"
admin.site.index_title = _("Execution ledger")

urlpatterns = [
    path("api/v1/", include("alerts.api.urls")),
    path("api/v1/", include("executions.api.urls")),
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.admin_view(front_page.front_page), name="front_page"),
    path("admin/login/", throttle_login(check_next(admin.site.login), posted_name)),
    path("admin/password_change/", admin.site.admin_view(throttle_login(admin.site.password_change, own_name))),
    path("admin/logout/", check_next(admin.site.admin_view(admin.site.logout))),
    path("admin/time-zone/", check_next(admin.site.admin_view(time_zones.choose)), name="time_zone"),
    path("admin/", admin.site.urls),
    path("i18n/setlang/", check_next(set_language), name="set_language"),
]

handler400 = "ledgerkit.rest.problems.bad_request"
handler403 = "pastetrader.error_views.forbidden"
handler404 = "pastetrader.error_views.not_found"
handler500 = "ledgerkit.rest.problems.server_error"
