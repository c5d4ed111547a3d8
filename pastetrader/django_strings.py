"""Strings of Django's pages that its Korean catalogue lacks (as of 6.1). The project's catalogue takes precedence."""

from django.utils.translation import gettext_noop, ngettext_lazy

WORDS = (
    gettext_noop("- Select an option -"),
    gettext_noop("Filter by %(field_name)s"),
    gettext_noop("Logout"),
    gettext_noop("No %s matches the given query."),
    gettext_noop('The app "%s" could not be found.'),
    ngettext_lazy("…and %(count)d more object.", "…and %(count)d more objects."),
)
