"""A new certificate from a request, with a preview of exactly what will be issued."""

from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from pkakey_engine.errors import Refused

from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.fronts.portal.views.certificates import SERIAL_NUMBER
from pkakey.selectors import certificates, profiles
from pkakey.selectors.results import CertificateDetail, ProfileItem, RequestItem
from pkakey.services import Preview
from pkakey.services.errors import Conflict, NotFound, ServiceUnavailable

MAX_CSR_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """Why not: a stable code and a sentence."""

    code: str
    detail: str


def csr_of(request: PortalRequest) -> bytes:
    """Return the request that was pasted or uploaded; one octet over the limit is enough."""
    upload = request.FILES.get("csr_file")
    if upload is not None and not isinstance(upload, list):
        return bytes(upload.read(MAX_CSR_BYTES + 1))
    return request.POST.get("csr", "").encode()[: MAX_CSR_BYTES + 1]


def offered(request: PortalRequest) -> list[ProfileItem]:
    """Return the profiles that a person may ask for; authorities are made elsewhere."""
    found = profiles.list_profiles(request.principal)
    return [item for item in found if item.data.get("kind") == "end-entity"]


def look(request: PortalRequest, csr: bytes, profile: str) -> tuple[Preview | None, Said | None]:
    """Return the preview, or why there is none."""
    try:
        preview = request.services.preview_certificate(
            principal=request.principal, csr=csr, profile=profile, now=clock()
        )
    except Refused as refused:
        return None, Said(refused.refusal.value, refused.detail)
    except NotFound as error:
        return None, Said("not-found", str(error))
    except ServiceUnavailable as error:
        return None, Said(f"{error.what}.unavailable", error.detail)
    return preview, None


def renewed_by(request: PortalRequest) -> CertificateDetail | None:
    """Return the certificate that the new one shall follow, if the address names one."""
    serial_number = request.GET.get("renew", "")
    if not SERIAL_NUMBER.fullmatch(serial_number):
        return None
    return certificates.get_certificate(request.principal, serial_number)


@screen("certificates:issue")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    """Show the form, preview, or issue."""
    renewed = renewed_by(request)
    chosen = request.POST.get("profile", "") or request.GET.get("profile", "")
    if not chosen:
        chosen = renewed.profile if renewed else "tls-server"
    content: dict[str, Any] = {
        "here": "certificates",
        "now": clock(),
        "profiles": offered(request),
        "chosen": chosen,
        "renewed": renewed,
    }
    if request.method != "POST":
        return render(request, "portal/new.html", content)
    csr = csr_of(request)
    content["csr"] = csr.decode("utf-8", "replace") if b"-----" in csr else ""
    if request.POST.get("act") == "preview":
        content["preview"], content["refusal"] = look(request, csr, chosen)
        return render(request, "portal/new.html", content, status=_status(content["refusal"]))
    try:
        issued = request.services.issue_certificate(
            principal=request.principal, csr=csr, profile=chosen, now=clock(), source="portal"
        )
    except Refused as refused:
        content["refusal"] = Said(refused.refusal.value, refused.detail)
    except (NotFound, Conflict) as error:
        content["refusal"] = Said("request.refused", str(error))
    except ServiceUnavailable as error:
        content["refusal"] = Said(f"{error.what}.unavailable", error.detail)
        return render(request, "portal/new.html", content, status=503)
    else:
        if isinstance(issued, RequestItem):
            messages.info(request, "Nothing is issued yet: this profile needs an approval.")
            return redirect("portal:request", issued.id)
        request.session["fresh"] = issued.serial_number
        return redirect("portal:certificate", issued.serial_number)
    return render(request, "portal/new.html", content, status=400)


@screen("certificates:issue")
@require_POST
def preview(request: PortalRequest) -> HttpResponse:
    """Return the preview alone, for the script that shows it while one types."""
    seen, refusal = look(request, csr_of(request), request.POST.get("profile", ""))
    content = {"preview": seen, "preview_refusal": refusal, "now": clock()}
    return render(request, "portal/preview.html", content)


def _status(refusal: Said | None) -> int:
    return 400 if refusal else 200
