"""Admin classes that the apps share, without domain logic."""
