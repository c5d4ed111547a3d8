"""Template tag that gives a page of the admin its keyboard shortcuts."""

from django import template
from django.template.context import RequestContext

from ledgerkit.admin import command_palette

register = template.Library()

RENDERED = "ledgerkit.shortcuts"  # key of the render context


@register.inclusion_tag("admin/ledgerkit/_shortcuts.html", takes_context=True)
def shortcuts(context: RequestContext) -> dict[str, object]:
    """Render `{% shortcuts %}`: the list of the keys and its script, once a page, so that the base page of a project
    and the pages that extend it may both contain the tag."""
    is_shown = (
        bool(context.get("has_permission")) and not context.get("is_popup") and not context.render_context.get(RENDERED)
    )
    context.render_context[RENDERED] = True
    may_search = context.get("available_apps")  # else there is nothing that the user may see
    return {
        "is_shown": is_shown,
        "search_address": command_palette.search_address() if may_search else "",
        "user_id": str(context.request.user.pk) if context.request else "",
    }
