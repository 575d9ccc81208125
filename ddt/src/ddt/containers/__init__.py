"""The platform in containers: prepares, wraps and examines docker-compose.yml."""
