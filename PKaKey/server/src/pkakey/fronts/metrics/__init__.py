"""The platform's figures in Prometheus' text form, for an internal address only.

Imports no Django. Asks the database as the role `pkakey_status`, by one function that returns sums
and dates; asks the signer by its socket, and the queue by its length.
"""
