"""Filters for what a bulk action stored in English: `{{ bulk.stopped_by|in_page_language }}`, and for the answer of a
run `{{ row.answer|with_run_link }}`, with a link to the new run that it names."""

from django import template
from django.urls import reverse
from django.utils.html import format_html

from executions.bulk import refusal_translations

register = template.Library()
register.filter("in_page_language", refusal_translations.translate_answer)


@register.filter
def with_run_link(answer: str) -> str:
    sentence, new = refusal_translations.translate_answer(answer), refusal_translations.find_new_run(answer)
    if new is None:
        return sentence
    before, _id, after = sentence.partition(new)
    page = reverse("admin:executions_workflowexecution_change", args=[new])
    return format_html('{}<a href="{}">{}</a>{}', before, page, new, after)
