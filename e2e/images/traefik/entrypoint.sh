#!/bin/sh
# As the official image: a flag alone, or a subcommand of traefik, is given to traefik.
set -e
case "${1:-}" in
    -*|healthcheck|version) set -- traefik "$@" ;;
esac
exec "$@"
