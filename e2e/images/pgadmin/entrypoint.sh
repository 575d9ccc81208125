#!/bin/bash
# Honours the official image's variables that docker-compose.yml uses: PGADMIN_DEFAULT_EMAIL,
# PGADMIN_DEFAULT_PASSWORD(_FILE), PGADMIN_LISTEN_ADDRESS, PGADMIN_LISTEN_PORT, PGADMIN_SERVER_JSON_FILE,
# PGADMIN_REPLACE_SERVERS_ON_STARTUP and PGADMIN_CONFIG_* (Python literals).
set -euo pipefail
app=/venv/lib/python3.11/site-packages/pgadmin4
{
    echo "SERVER_MODE = True"
    echo "DATA_DIR = '/var/lib/pgadmin'"
    echo "LOG_FILE = '/dev/null'"
    echo "DEFAULT_BINARY_PATHS = {'pg': '/usr/bin'}"
    for name in "${!PGADMIN_CONFIG_@}"; do printf '%s = %s\n' "${name#PGADMIN_CONFIG_}" "${!name}"; done
} > "$app/config_distro.py"

export PGADMIN_SETUP_EMAIL=${PGADMIN_DEFAULT_EMAIL:?}
if [ -n "${PGADMIN_DEFAULT_PASSWORD_FILE:-}" ]; then
    PGADMIN_SETUP_PASSWORD=$(cat "$PGADMIN_DEFAULT_PASSWORD_FILE")
else
    PGADMIN_SETUP_PASSWORD=${PGADMIN_DEFAULT_PASSWORD:?}
fi
export PGADMIN_SETUP_PASSWORD
cd "$app"
servers=${PGADMIN_SERVER_JSON_FILE:-/pgadmin4/servers.json}
replace=""
[ "${PGADMIN_REPLACE_SERVERS_ON_STARTUP:-False}" != True ] || replace=--replace
if [ ! -s /var/lib/pgadmin/pgadmin4.db ]; then
    /venv/bin/python setup.py setup-db
    replace=--replace
    first=1
fi
if [ -f "$servers" ] && { [ -n "${first:-}" ] || [ -n "$replace" ]; }; then
    /venv/bin/python setup.py load-servers "$servers" $replace --user "$PGADMIN_DEFAULT_EMAIL"
fi
unset PGADMIN_SETUP_PASSWORD
exec /venv/bin/gunicorn --timeout "${GUNICORN_TIMEOUT:-86400}" \
    --bind "${PGADMIN_LISTEN_ADDRESS:-[::]}:${PGADMIN_LISTEN_PORT:-80}" -w 1 \
    --threads "${GUNICORN_THREADS:-25}" --access-logfile "${GUNICORN_ACCESS_LOGFILE:--}" pgAdmin4:app
