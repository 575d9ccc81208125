"""The addresses of the REST API, below `/api/v1/`."""

from django.urls import path, re_path, register_converter

from pkakey.fronts.rest.authorities import (
    AuthoritiesEndpoint,
    AuthorityDownloadEndpoint,
    AuthorityEndpoint,
)
from pkakey.fronts.rest.certificates import (
    CertificateDownloadEndpoint,
    CertificateEndpoint,
    CertificatesEndpoint,
    RevokeCertificateEndpoint,
)
from pkakey.fronts.rest.documents import (
    UnknownPathEndpoint,
    docs_page,
    docs_script,
    openapi_document,
)
from pkakey.fronts.rest.downloads import FORMS
from pkakey.fronts.rest.grants import GrantEndpoint, GrantsEndpoint, WithdrawGrantEndpoint
from pkakey.fronts.rest.profiles import ProfileEndpoint, ProfilesEndpoint
from pkakey.fronts.rest.requests import RequestEndpoint, RequestsEndpoint
from pkakey.fronts.rest.tokens import TokenEndpoint, TokensEndpoint

app_name = "rest"


class FormConverter:
    """The name of a download's form."""

    regex = "|".join(FORMS)

    def to_python(self, value: str) -> str:
        """Return the form's name."""
        return value

    def to_url(self, value: str) -> str:
        """Return the form's name."""
        return value


register_converter(FormConverter, "form")

urlpatterns = [
    path("certificates/", CertificatesEndpoint.as_view(), name="certificates"),
    path("certificates/<str:serial_number>/", CertificateEndpoint.as_view(), name="certificate"),
    path(
        "certificates/<str:serial_number>/revoke/",
        RevokeCertificateEndpoint.as_view(),
        name="certificate-revoke",
    ),
    path(
        "certificates/<str:serial_number>/<form:form>",
        CertificateDownloadEndpoint.as_view(),
        name="certificate-download",
    ),
    path("authorities/", AuthoritiesEndpoint.as_view(), name="authorities"),
    path("authorities/<uuid:authority_id>/", AuthorityEndpoint.as_view(), name="authority"),
    path(
        "authorities/<uuid:authority_id>/<form:form>",
        AuthorityDownloadEndpoint.as_view(),
        name="authority-download",
    ),
    path("requests/", RequestsEndpoint.as_view(), name="requests"),
    path("requests/<uuid:request_id>/", RequestEndpoint.as_view(), name="request"),
    path("grants/", GrantsEndpoint.as_view(), name="grants"),
    path("grants/<uuid:grant_id>/", GrantEndpoint.as_view(), name="grant"),
    path(
        "grants/<uuid:grant_id>/withdraw/",
        WithdrawGrantEndpoint.as_view(),
        name="grant-withdraw",
    ),
    path("profiles/", ProfilesEndpoint.as_view(), name="profiles"),
    path("profiles/<str:name>/", ProfileEndpoint.as_view(), name="profile"),
    path("tokens/", TokensEndpoint.as_view(), name="tokens"),
    path("tokens/<uuid:token_id>/", TokenEndpoint.as_view(), name="token"),
    path("openapi.json", openapi_document, name="openapi"),
    path("docs/", docs_page, name="docs"),
    path("docs/start.js", docs_script, name="docs-script"),
    re_path(r"", UnknownPathEndpoint.as_view(), name="unknown"),
]
