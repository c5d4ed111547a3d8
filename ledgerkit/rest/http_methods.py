from django.views.generic import View

# Without OPTIONS: what an address takes is told by the schema, and `Allow` names nothing that would be answered 405.
METHODS = [name for name in View.http_method_names if name not in {"options", "trace"}]
