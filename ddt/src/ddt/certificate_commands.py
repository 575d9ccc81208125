"""The commands about certificates and tokens: each is a REST call of a client like any other."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlsplit

import typer
from cryptography import x509

from ddt import output, request_commands, settings, trust
from ddt.api import Client
from ddt.errors import TroubleError

LARGEST_PAGE = 100
LARGEST_CSR_BYTES = 64 * 1024
REASONS = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
    "aACompromise",
]
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
token_app = typer.Typer(
    no_args_is_help=True, help="API tokens: create, list, revoke.", rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(epilog="Example: ddt issue --csr a.csr --profile tls-server --out a.pem")(issue)
    app.command(epilog="Example: ddt revoke a.pem --reason keyCompromise")(revoke)
    app.command("list", epilog="Example: ddt list --status revoked --search web")(list_certificates)
    app.command(epilog="Example: ddt show a.pem")(show)
    app.command("trust", epilog="Example: ddt trust --print > root.pem")(trust_root)
    app.add_typer(token_app, name="token")


def issue(
    csr: Annotated[Path, typer.Option(help="The request (PKCS#10) in PEM or DER.")],
    out: Annotated[Path, typer.Option(help="Where the certificate goes, in PEM.")],
    profile: Annotated[str, typer.Option(help="The profile's name.")] = "tls-server",
    chain_out: Annotated[
        Path | None, typer.Option(help="Where the issuers' certificates go, in PEM.")
    ] = None,
    authority: Annotated[
        str, typer.Option(help="The issuing authority's id; without one, the namespace's own.")
    ] = "",
    *,
    as_json: Json = False,
) -> None:
    """Issue a certificate for a request made elsewhere, such as by openssl.

    Exit code 3: the profile needs an approval, which has begun; 'ddt request' follows it.
    """
    text = _request(csr)
    for file in (out, chain_out):
        if file is not None and not file.absolute().parent.is_dir():
            raise TroubleError(f"The folder of {file} does not exist. Make it first.")
    body = {"csr": text, "profile": profile} | ({"authority": authority} if authority else {})
    answer = Client(settings.load()).post("certificates/", body)
    if "pem" not in answer:
        request_commands.tell_of_approval(answer, out, as_json=as_json)
        raise typer.Exit(request_commands.WAITS)
    write_certificates(answer, out, chain_out)
    if as_json:
        output.as_json(answer)
    else:
        output.say(f"Issued {answer['serial_number']} until {answer['not_after']}: {out}")


def write_certificates(answer: dict[str, Any], out: Path, chain_out: Path | None) -> None:
    """Write the answer's certificate, and those above it where a file is named for them."""
    _write(out, answer["pem"])
    if chain_out is not None:
        _write(chain_out, "".join(_line_end(pem) for pem in answer["chain"]))


def revoke(
    certificate: Annotated[str, typer.Argument(metavar="FILE|SERIAL")],
    reason: Annotated[
        str, typer.Option(help=f"Why (RFC 5280): {', '.join(REASONS)}.")
    ] = "unspecified",
    *,
    as_json: Json = False,
) -> None:
    """Revoke a certificate, by its file or its serial number in hex."""
    serial = _serial(certificate)
    answer = Client(settings.load()).post(f"certificates/{serial}/revoke/", {"reason": reason})
    if as_json:
        output.as_json(answer)
    else:
        output.say(f"Revoked {answer['serial_number']} ({answer['reason']}).")


def list_certificates(
    search: Annotated[str, typer.Option(help="A part of a subject, name or serial.")] = "",
    status: Annotated[str, typer.Option(help="valid, expired or revoked.")] = "",
    profile: Annotated[str, typer.Option(help="Only of this profile.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10000, help="At most so many.")] = 50,
    *,
    as_json: Json = False,
) -> None:
    """List certificates, newest first."""
    client = Client(settings.load())
    size = str(min(limit, LARGEST_PAGE))
    query = {"search": search, "status": status, "profile": profile, "page_size": size}
    query = {name: value for name, value in query.items() if value}
    rows: list[dict[str, Any]] = []
    while True:
        page = client.get("certificates/", **query)
        rows += page["results"]
        if not page.get("next") or len(rows) >= limit:
            break
        following = parse_qs(urlsplit(page["next"]).query)
        query = {name: values[0] for name, values in following.items()}
    rows = rows[:limit]
    if as_json:
        output.as_json({"results": rows})
        return
    output.table(
        ["SERIAL", "SUBJECT", "PROFILE", "STATUS", "UNTIL"],
        [
            [r["serial_number"], r["subject"], r["profile"], r["status"], r["not_after"]]
            for r in rows
        ],
    )


def show(
    certificate: Annotated[str, typer.Argument(metavar="FILE|SERIAL")], *, as_json: Json = False
) -> None:
    """Show one certificate with every extension in words."""
    serial = _serial(certificate)
    answer = Client(settings.load()).get(f"certificates/{serial}/")
    if as_json:
        output.as_json(answer)
        return
    for name in ("serial_number", "subject", "status", "profile", "not_before", "not_after"):
        output.say(f"{name.replace('_', ' '):14} {answer.get(name, '')}")
    for extension in answer.get("extensions", []):
        critical = " (critical)" if extension.get("critical") else ""
        output.say(f"{extension['name']}{critical}")
        for line in extension.get("text", []):
            output.say(f"    {line}")


def trust_root(
    *,
    print_root: Annotated[
        bool, typer.Option("--print", help="Print the root certificate in PEM.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell how to trust the platform's root on each system and in each browser."""
    chosen = settings.load()
    root = chosen.tls / "root.pem"
    try:
        pem = root.read_text(encoding="ascii")
    except OSError as error:
        raise TroubleError(
            f"The root certificate {root} cannot be read: {error.strerror}. 'ddt up' makes it.",
        ) from error
    lines = trust.guide(root, chosen.portal)
    if as_json:
        output.as_json({"pem": pem, "file": str(root), "guide": dict(lines)})
    elif print_root:
        output.say(pem.rstrip("\n"))
    else:
        output.say(f"The root certificate is {root}\n")
        for name, steps in lines:
            output.say(name)
            for step in steps:
                output.say(f"    {step}")


@token_app.command(
    "create",
    epilog="Examples: ddt token create --name ci --scope certificates:issue --expires 30d; "
    "ddt token create --jwt --scope data:read",
)
def token_create(
    scope: Annotated[list[str], typer.Option(help="A permission; repeat for more.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "made by ddt",
    expires: Annotated[
        str,
        typer.Option(
            help="30d, 12h, or a date such as 2030-01-31. Without it 90d; a signed token 1h, "
            "at most 24h."
        ),
    ] = "",
    *,
    jwt: Annotated[
        bool, typer.Option("--jwt", help="A signed token (JWT), as the data API needs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create a token; it is printed this once, on standard output."""
    until = expiry(expires or ("1h" if jwt else "90d"), now=datetime.now(UTC))
    body: dict[str, Any] = {"name": name, "scopes": scope, "expires_at": until.isoformat()}
    if jwt:
        body["form"] = "jwt"
    answer = Client(settings.load()).post("tokens/", body)
    if as_json:
        output.as_json(answer)
    else:
        output.say(answer["token"])


@token_app.command("list")
def token_list(*, as_json: Json = False) -> None:
    """List tokens, without what they say."""
    answer = Client(settings.load()).get("tokens/")
    if as_json:
        output.as_json(answer)
        return
    output.table(
        ["ID", "NAME", "SCOPES", "EXPIRES", "REVOKED"],
        [
            [
                t["id"],
                t["name"],
                " ".join(t["scopes"]),
                t.get("expires_at") or "never",
                t.get("revoked_at") or "",
            ]
            for t in answer["results"]
        ],
    )


@token_app.command("revoke", epilog="Example: ddt token revoke 0198…  (see 'ddt token list')")
def token_revoke(token_id: Annotated[str, typer.Argument()], *, as_json: Json = False) -> None:
    """Revoke a token by its id; it opens nothing from now on."""
    answer = Client(settings.load()).delete(f"tokens/{quote(token_id, safe='')}/")
    if as_json:
        output.as_json(answer)
    else:
        output.say(f"Revoked {token_id}.")


def expiry(text: str, *, now: datetime) -> datetime:
    """Return the moment that `30d`, `12h`, `90m`, `2w` or an ISO date means; it must be to come."""
    if match := re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text.strip()):
        try:
            return now + timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError:
            raise TroubleError(f"'{text}' is too far in the future. Give a nearer one.") from None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise TroubleError(
            f"'{text}' is no time. Give a span such as 30d or 12h, or a date such as 2030-01-31.",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment <= now:
        raise TroubleError(f"'{text}' has passed. Give a time to come.")
    return moment


def _request(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_CSR_BYTES + 1)
    except OSError as error:
        raise TroubleError(
            f"The request {file} cannot be read: {error.strerror}. Name a file with a PKCS#10 "
            "request, such as 'openssl req -new' makes.",
        ) from error
    if len(data) > LARGEST_CSR_BYTES:
        raise TroubleError(
            f"{file} has more than {LARGEST_CSR_BYTES // 1024} KiB, which no certificate request "
            "needs. Name the file with the request.",
        )
    if not data.strip():
        raise TroubleError(f"{file} is empty. Name a file with a PKCS#10 request.")
    if data.lstrip().startswith(b"-----BEGIN"):
        return data.decode("utf-8", errors="replace")
    try:
        # REST takes PEM; openssl writes DER when asked. The platform decides about all the rest.
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

        return x509.load_der_x509_csr(data).public_bytes(Encoding.PEM).decode("ascii")
    except ValueError:
        raise TroubleError(
            f"{file} is no certificate request: it is neither PEM nor DER of PKCS#10. Make one "
            "with 'openssl req -new'.",
        ) from None


def _serial(certificate: str) -> str:
    file = Path(certificate)
    if file.is_file():
        try:
            data = file.read_bytes()
            is_pem = b"-----BEGIN" in data
            load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
            return f"{load(data).serial_number:x}"
        except (OSError, ValueError) as error:
            raise TroubleError(
                f"{file} holds no certificate that can be read: {error}. Name the file with the "
                "certificate, or its serial number in hex.",
            ) from error
    digits = certificate.lower().removeprefix("0x").replace(":", "").lstrip("0")
    if not re.fullmatch(r"[0-9a-f]{1,40}", digits):
        raise TroubleError(
            f"'{certificate}' is neither a file nor a serial number in hex (at most 20 octets). "
            "See 'ddt list'.",
        )
    return digits


def _line_end(pem: str) -> str:
    return pem if pem.endswith("\n") else f"{pem}\n"


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(_line_end(text), encoding="ascii")
    except OSError as error:
        raise TroubleError(
            f"The certificate was issued, but {file} cannot be written: {error.strerror}. Get it "
            "with 'ddt list' and 'ddt show SERIAL --json'.",
        ) from error
