"""The API token of the `ddt` command on this machine, in a file beside the other secrets."""

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from pkakey.services.errors import NotFound
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.namespaces import DEFAULT
from pkakey.services.outside import Outside
from pkakey.services.principals import PERMISSIONS, Principal
from pkakey.services.secret_files import write_file
from pkakey.services.tokens import create_token, revoke_token
from pkakey.store.context import acting_as
from pkakey.store.tokens.models import Token

FILE = "cli-token"
NAME = "ddt on this machine"
LIFE = timedelta(days=365)


def write_cli_token(file: Path, principal: Principal, *, now: datetime) -> UUID:
    """Create a token with every permission, write it into the file, and return its id."""
    token = create_token(
        principal=principal, name=NAME, scopes=PERMISSIONS, expires_at=now + LIFE, now=now
    )
    write_file(file, f"{token.token}\n".encode())
    return token.id


def rotate_cli_token(outside: Outside, *, now: datetime) -> int:
    """Replace the command's token; `services.Services.rotate_cli_token` tells the rest.

    The file has a good token at every moment: the new one is written before the old one ends. What
    a run that was cut off left behind ends with the next.
    """
    principal = next((p for p in each_namespace("bootstrap") if p.namespace == DEFAULT), None)
    if principal is None:
        raise NotFound("namespace")
    if outside.secrets_dir is None:
        raise NotFound("secrets")
    new = write_cli_token(outside.secrets_dir / FILE, principal, now=now)
    with acting_as(principal):
        # By who made it, too: a person may give a token of theirs the same name.
        old = list(
            Token.objects.filter(
                namespace_id=principal.namespace_id,
                name=NAME,
                created_by=f"{principal.kind}:{principal.id}",
                revoked_at__isnull=True,
            )
            .exclude(id=new)
            .values_list("id", flat=True)
        )
    for token_id in old:
        revoke_token(principal=principal, token_id=token_id, now=now)
    return len(old)
