"""How moments are written, in each language: see FORMAT_MODULE_PATH."""
