#!/bin/bash
# PostgREST 12 has no --ready (14 has): ask the admin server for /ready, as 14 does by itself.
[ "${1:-}" = --ready ] || exec /usr/local/lib/postgrest "$@"
exec 3<>"/dev/tcp/127.0.0.1/${PGRST_ADMIN_SERVER_PORT:?}" || exit 1
printf 'GET /ready HTTP/1.0\r\n\r\n' >&3
IFS= read -r answer <&3
[[ $answer == *' 200 '* ]]
