#!/bin/bash
# Keycloak's entry point: hand over the secrets, which it reads from the environment only, then become Keycloak.
# A realm imported with an empty or unreplaced secret would let everybody in, so each one is checked first.
set -euo pipefail

SECRETS=${THEDDT_SECRETS:-/run/secrets}

fail() { printf '%s\n' "$1" >&2; exit 1; }

# hand_over VARIABLE FILE
hand_over() {
    local value
    [ -r "$SECRETS/$2" ] || fail "The secret $2 is missing in $SECRETS. Run 'ddt init', then start again."
    value=$(<"$SECRETS/$2")
    [ "${#value}" -ge 12 ] || fail "The secret $2 is empty or shorter than 12 characters. Remove it, run 'ddt init', then start again."
    export "$1=$value"
}

# need VARIABLE
need() { [ -n "${!1:-}" ] || fail "$1 is not set: Keycloak's realm cannot be made without it."; }

hand_over KC_BOOTSTRAP_ADMIN_PASSWORD keycloak-admin-password
hand_over THEDDT_ADMIN_PASSWORD admin-password
hand_over THEDDT_PKAKEY_CLIENT_SECRET pkakey-oidc-client-secret
hand_over THEDDT_KOOLFLOWS_CLIENT_SECRET koolflows-oidc-client-secret
hand_over THEDDT_OAUTH2_PROXY_CLIENT_SECRET oauth2-proxy-client-secret
[ "${KC_DB:-postgres}" != postgres ] || hand_over KC_DB_PASSWORD keycloak-postgres-password
need THEDDT_DOMAIN
need THEDDT_PKAKEY_INTERNAL_URL
need THEDDT_KOOLFLOWS_INTERNAL_URL
# Nothing for port 443, else a colon and the port.
export THEDDT_HTTPS_SUFFIX=${THEDDT_HTTPS_SUFFIX:-}
[[ $THEDDT_HTTPS_SUFFIX =~ ^(:[0-9]{1,5})?$ ]] || fail "THEDDT_HTTPS_SUFFIX is empty or like ':8443'; '$THEDDT_HTTPS_SUFFIX' came."

exec "${KC_HOME:-/opt/keycloak}/bin/kc.sh" start --import-realm "$@"
