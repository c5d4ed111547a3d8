"""Database tools that the apps share, without domain logic."""
