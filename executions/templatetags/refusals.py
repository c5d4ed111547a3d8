"""A filter for the reason of a refused run: `{{ row.answer|in_page_language }}`."""

from django import template

from executions.bulk import refusal_translations

register = template.Library()
register.filter("in_page_language", refusal_translations.translate_answer)
