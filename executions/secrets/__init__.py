"""The secrets of runs: their search in texts and documents, their encryption, retention and limits.

`executions.masking` applies them to everything that is stored. Which keys name a secret is in `workflows.secret_keys`.
"""
