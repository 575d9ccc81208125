"""docker-compose.yml as a stack for Docker Swarm."""
