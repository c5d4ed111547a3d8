"""Filter to draw the days of a workflow: `{{ health.chart|daily_chart }}`."""

from django import template

from executions.admin.monitor.daily_chart import render_daily_chart

register = template.Library()
register.filter("daily_chart", render_daily_chart)
