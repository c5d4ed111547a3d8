from django.views.generic import View

# Without OPTIONS: the OpenAPI schema documents the methods, and `Allow` names none that returns 405.
METHODS = [name for name in View.http_method_names if name not in {"options", "trace"}]
