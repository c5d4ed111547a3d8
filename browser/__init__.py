"""The admin in a real browser: journeys as staff make them, pictures for the docs."""
