#!/bin/bash
# Honours the official image's variables: POSTGRES_USER, _PASSWORD, _DB, _INITDB_ARGS and their _FILE forms,
# /docker-entrypoint-initdb.d on the first start, and a temporary server on the socket meanwhile.
set -euo pipefail

value() { # NAME DEFAULT: the variable, or what its _FILE form names; both is an error.
    local file="${1}_FILE"
    if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
        echo "error: both $1 and $file are set (but are exclusive)" >&2
        exit 1
    fi
    if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!1:-$2}"; fi
}

case "${1:-}" in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    exec setpriv --reuid=70 --regid=70 --clear-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=$(value POSTGRES_USER postgres)
    database=$(value POSTGRES_DB "$user")
    password=$(value POSTGRES_PASSWORD "")
    arguments=$(value POSTGRES_INITDB_ARGS "")
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo "Error: Database is uninitialized and superuser password is not specified." >&2
        exit 1
    fi
    # shellcheck disable=SC2086  # Several arguments in one variable are the image's own way.
    initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --auth-local=trust \
        --auth-host="$method" $arguments
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
    sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$PGDATA/postgresql.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    if [ "$database" != postgres ]; then
        psql -v ON_ERROR_STOP=1 --no-password --username "$user" --dbname postgres \
            --set db="$database" <<< 'CREATE DATABASE :"db";'
    fi
    shopt -s nullglob
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
            *.sql) psql -v ON_ERROR_STOP=1 --username "$user" --dbname "$database" -f "$script" ;;
            *.sh) if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    echo "PostgreSQL init process complete; ready for start up."
fi
exec "$@"
