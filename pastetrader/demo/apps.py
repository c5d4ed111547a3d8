from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "pastetrader.demo"
    label = "demo"
    verbose_name = "Demo"
