"""Migrations of the CMS pages."""
