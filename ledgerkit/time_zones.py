"""The time zone of pages: the reader's choice, else `TIME_ZONE`. The API is in UTC."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import cache
from itertools import groupby
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

COOKIE = "pastetrader_time_zone"
NO_PLACES = {"Factory", "localtime", "posixrules"}  # names in the system's database that are not zones for people


@cache
def known_zones() -> frozenset[str]:
    return frozenset(available_timezones() - NO_PLACES | {"UTC"})


@cache
def zones_by_region() -> list[tuple[str, list[str]]]:
    """Return all zone names, grouped by the part before the first "/"; names without one are under ""."""
    names = sorted(known_zones(), key=lambda name: (_region(name), name))
    return [(region, list(found)) for region, found in groupby(names, _region)]


def _region(name: str) -> str:
    return name.rpartition("/")[0].partition("/")[0]


def zone_label(zone: tzinfo) -> str:
    """Return "Asia/Seoul (UTC+09:00)" with the current offset; for UTC the name alone."""
    offset = f"{timezone.localtime(timezone=zone):%:z}"
    return str(zone) if str(zone) == "UTC" else f"{zone} (UTC{offset.replace('-', '−')})"


def clock(time: datetime, precision: str = "seconds", zone: tzinfo | None = None) -> str:
    """Format a time in the zone of the page as "2026-10-25 02:30:00". The offset is added where the local time is
    ambiguous."""
    local = timezone.localtime(time, zone)
    came_twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return (local if came_twice else local.replace(tzinfo=None)).isoformat(" ", precision)


def clock_with_zone(time: datetime, zone: tzinfo) -> str:
    """Format a time as "2026-10-25 09:10 Asia/Seoul", for texts that leave the page."""
    return f"{clock(time, 'minutes', zone)} {zone}"


class TimeZoneMiddleware:
    """Middleware that activates the reader's time zone on pages. The views of the API activate UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(_zone_of(request)):
            return self.get_response(request)


def _zone_of(request: HttpRequest) -> tzinfo | None:
    """Return the reader's zone, or None for the default."""
    chosen = request.COOKIES.get(COOKIE, "")
    return ZoneInfo(chosen) if chosen in known_zones() else None


def choose(request: HttpRequest) -> HttpResponse:
    """Render the list of zones, or store the submitted zone in a cookie for a year. An empty name deletes it."""
    parameters = request.POST if request.method == "POST" else request.GET
    name, back = parameters.get("time_zone", ""), parameters.get("next", "")
    is_wrong = name not in {"", *known_zones()}
    if request.method == "POST" and not is_wrong:
        return _keep(HttpResponseRedirect(back or reverse("admin:index")), name)
    context = {
        "title": _("Time zone"),
        "regions": zones_by_region(),
        "chosen": request.COOKIES.get(COOKIE, ""),
        "default": zone_label(timezone.get_default_timezone()),
        "next": back,
        "is_wrong": is_wrong,
    }
    status = 400 if is_wrong else 200
    return render(request, "admin/time_zone.html", admin.site.each_context(request) | context, status=status)


def _keep(answer: HttpResponse, name: str) -> HttpResponse:
    if not name:
        answer.delete_cookie(COOKIE, path=settings.LANGUAGE_COOKIE_PATH, samesite="Lax")
        return answer
    answer.set_cookie(
        COOKIE,
        name,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=settings.LANGUAGE_COOKIE_PATH,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return answer
