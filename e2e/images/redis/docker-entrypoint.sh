#!/bin/sh
# As the official image: flags are redis-server's, and only redis-server itself leaves root.
set -e
case "${1:-}" in -*|*.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown redis:redis /data
    exec setpriv --reuid=999 --regid=1000 --clear-groups "$0" "$@"
fi
if [ "$1" = redis-server ] && [ "$#" = 1 ]; then set -- redis-server --protected-mode no; fi
exec "$@"
