"""The status front: OCSP, CRLs and CA certificates over plain HTTP, without Django.

Status is what is asked most often of a PKI, and what must be answered while the rest is down.
"""
