"""Binds the use cases to what they need from outside; the only place that knows both."""

from functools import cache
from pathlib import Path

from django.conf import settings
from pkakey_signers.client import SignerClient

from pkakey.config import request_ids, tracing
from pkakey.config.env import Env
from pkakey.services import Services, measuring
from pkakey.services.outside import Outside, SignInProvider
from pkakey.services.to_flows import ToFlows


@cache
def services() -> Services:
    """Return this process's use cases; connections are opened at their first use."""
    env: Env | None = getattr(settings, "ENV", None)
    if env is None:
        # Tests and tools: whoever needs a signer or Redis hands in their own `Outside`.
        return Services(
            Outside(
                signer=SignerClient(Path(settings.MEDIA_ROOT) / "no-signer.sock"),
                redis_url="redis://127.0.0.1:1/0",
                domain="theddt.localhost",
                http_port=8080,
                https_port=8443,
                gateway_tls_dir=None,
                secrets_dir=None,
            )
        )
    measuring.trace_with(tracing.span_of_use_case())
    return Services(
        Outside(
            signer=SignerClient(
                env.signer_socket, request_id=request_ids.current, asking=tracing.asking_signer
            ),
            redis_url=env.redis_url_with_password,
            domain=env.domain,
            http_port=env.http_port,
            https_port=env.https_port,
            gateway_tls_dir=env.gateway_tls_dir,
            secrets_dir=env.secrets_dir,
            weak_keys=env.weak_keys,
            token_key_file=env.token_key_file,
            sign_in=sign_in_provider(env),
            inventory_url=env.inventory_url,
            flows=ToFlows(env.flows_url) if env.flows_url else None,
            flows_service_key=env.flows_service_key,
        )
    )


def sign_in_provider(env: Env) -> SignInProvider | None:
    """Return Keycloak as the environment names it, or None where people sign in here."""
    if env.oidc_issuer is None:
        return None
    return SignInProvider(
        issuer=env.oidc_issuer,
        internal_url=env.oidc_internal_url or env.oidc_issuer,
        client_id=env.oidc_client_id,
        audience=env.oidc_audience,
    )
