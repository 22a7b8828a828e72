"""The Django project that Carillon is tested against: small, real, configured by its environment."""
