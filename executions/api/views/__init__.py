"""Views of the API. A view reads the row that the caller may see and calls the model's method; the model decides."""
