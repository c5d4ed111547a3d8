"""The API as OpenAPI 3.1, with drf-spectacular.

Each view describes its operations by `extend_schema`, each filter its parameter by `help_text`. The modules here add
what drf-spectacular cannot derive: parameters of the path, the query and headers, responses and refusals, exact types
of fields. `examples.json` holds recorded responses. `make schema` writes the result to `schema.yaml`.
"""
