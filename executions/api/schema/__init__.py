"""The API told as OpenAPI 3.1: what a stranger needs to use it. Read off what the views declare, in words of ours.

`words.py` names and explains each operation, `parameters.py` says what may stand in its address and headers,
`answers.py` what it answers and refuses, `fields.py` what a value may be; `inspector.py` puts them together, and
`examples.json` holds real answers. `make schema` writes the result to `schema.yaml`.
"""
