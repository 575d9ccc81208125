#!/bin/sh
# This is the double of theDDT's tests, and not oauth2-proxy.
exec /opt/double/bin/python -m oauth2_proxy_double "$@"
