"""OpenID Connect: PKaKey as a provider (natively), and as Keycloak's client (containers)."""
