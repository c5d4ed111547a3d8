"""What the apps share of HTTP, on Django REST framework, without domain."""
