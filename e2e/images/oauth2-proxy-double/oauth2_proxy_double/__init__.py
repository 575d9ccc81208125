"""A test double of oauth2-proxy: the paths, headers, cookies and settings that the stack uses.

It does the real thing with Keycloak (code flow with PKCE and nonce, signature and claims of ID
tokens, refresh, sign-out behind the browser) and with Redis. What it has not: other providers, TLS,
upstreams other than static://202, cookie sessions, and the real program's years of hardening.
"""
