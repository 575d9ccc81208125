#!/bin/bash
# Each variable (CONTAINERS=1 and the like) opens one part of the engine's interface; POST=0 shuts all writing.
set -euo pipefail
{
    cat <<'CONFIG'
global
    log stdout format raw daemon notice
    pidfile /run/haproxy.pid
    maxconn 100
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 10m
    # The engine's events are a stream without an end.
    timeout server 0
backend engine
    server engine /var/run/docker.sock
frontend proxy
    bind :2375
CONFIG
    [ "${POST:-0}" = 1 ] || echo "    http-request deny unless METH_GET"
    for part in PING VERSION EVENTS CONTAINERS INFO IMAGES NETWORKS NODES SERVICES TASKS VOLUMES SECRETS EXEC; do
        case "$part" in PING|VERSION|EVENTS) default=1 ;; *) default=0 ;; esac
        allowed=${!part:-$default}
        name=${part,,}
        [ "$part" != PING ] || name=_ping
        [ "$allowed" != 1 ] || echo "    http-request allow if { path_reg ^(/v[0-9.]+)?/$name(\$|/) }"
    done
    echo "    http-request deny"
    echo "    default_backend engine"
} >/tmp/haproxy.cfg
exec "$@"
