#!/bin/sh
# The pinned image makes a configuration from variables when none is mounted; here one has to be mounted.
set -e
if [ "$1" = /usr/bin/pgbouncer ] && [ ! -s /etc/pgbouncer/pgbouncer.ini ]; then
    echo "Mount /etc/pgbouncer/pgbouncer.ini: this local image makes none from variables." >&2
    exit 1
fi
exec "$@"
