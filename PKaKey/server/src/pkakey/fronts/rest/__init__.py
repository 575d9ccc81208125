"""The REST API, version 1: JSON in, one service call, JSON or a certificate out.

Errors are RFC 9457 problem documents; the API describes itself by OpenAPI 3.1 (`openapi.json`).
"""
