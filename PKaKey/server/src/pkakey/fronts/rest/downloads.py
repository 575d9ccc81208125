"""Downloads: a certificate or chain in each usual form, with its media type and file name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from django.http import HttpResponse


class Form(NamedTuple):
    """One form of a download."""

    media_type: str
    suffix: str
    encode: Callable[[Sequence[str]], bytes]


def _pem(chain: Sequence[str]) -> bytes:
    return _with_newline(chain[0]).encode()


def _der(chain: Sequence[str]) -> bytes:
    return x509.load_pem_x509_certificate(chain[0].encode()).public_bytes(Encoding.DER)


def _chain(chain: Sequence[str]) -> bytes:
    return "".join(map(_with_newline, chain)).encode()


def _pkcs7(chain: Sequence[str]) -> bytes:
    certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in chain]
    return pkcs7.serialize_certificates(certificates, Encoding.DER)


def _with_newline(pem: str) -> str:
    return pem if pem.endswith("\n") else f"{pem}\n"


FORMS: Final[Mapping[str, Form]] = {
    "pem": Form("application/x-pem-file", "pem", _pem),
    # RFC 2585 section 4.1.
    "der": Form("application/pkix-cert", "cer", _der),
    # RFC 8555 section 9.1; the certificate itself first.
    "chain": Form("application/pem-certificate-chain", "chain.pem", _chain),
    # RFC 8551 section 3.2.2: a certs-only message is "p7c"; "p7b" is what people know it by.
    "pkcs7": Form("application/x-pkcs7-certificates", "p7b", _pkcs7),
}


def download(form: Form, *, chain: Sequence[str], name: str) -> HttpResponse:
    """Return the download of `chain` (PEM, the certificate first) in `form`, named after `name`.

    `name` must be safe in a quoted string, as a serial number or UUID is.
    """
    body = form.encode(chain)
    return HttpResponse(
        body,
        content_type=form.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{form.suffix}"',
            "Content-Length": str(len(body)),
            "X-Content-Type-Options": "nosniff",
        },
    )
