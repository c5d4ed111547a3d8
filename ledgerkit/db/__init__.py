"""What the apps share of their database, without domain."""
