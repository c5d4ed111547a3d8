"""HTTP tools that the apps share, on Django REST framework, without domain logic."""
