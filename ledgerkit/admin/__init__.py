"""What the apps share of the admin, without domain."""
