"""Authorities, their grants, OCSP responders and CRLs."""
