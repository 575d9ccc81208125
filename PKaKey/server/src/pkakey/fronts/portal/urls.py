"""The portal's addresses."""

from django.urls import include, path, re_path

from pkakey.fronts.portal import editors
from pkakey.fronts.portal.views import (
    audit,
    authorities,
    certificates,
    dashboard,
    flows,
    forward_auth,
    grants,
    new_certificate,
    person,
    tokens,
)

screens = [
    path("portal/", dashboard.show, name="dashboard"),
    path("portal/certificates/", certificates.index, name="certificates"),
    path("portal/certificates/export.csv", certificates.export, name="export"),
    path("portal/certificates/new/", new_certificate.new, name="new"),
    path("portal/certificates/preview/", new_certificate.preview, name="preview"),
    path("portal/certificates/<str:serial_number>/", certificates.detail, name="certificate"),
    path("portal/certificates/<str:serial_number>/revoke/", certificates.revoke, name="revoke"),
    path(
        "portal/certificates/<str:serial_number>/<str:form>",
        certificates.download,
        name="download",
    ),
    path("portal/approvals/", flows.inbox, name="tasks"),
    path("portal/approvals/tasks/<uuid:task_id>/", flows.task, name="task"),
    path("portal/approvals/tasks/<uuid:task_id>/claim/", flows.claim, name="claim"),
    path("portal/approvals/processes/<uuid:process_id>/", flows.process, name="process"),
    path("portal/approvals/requests/<uuid:request_id>/", flows.request_page, name="request"),
    path("portal/grants/", grants.index, name="grants"),
    path("portal/grants/new/", grants.new, name="new-grant"),
    path("portal/grants/<uuid:grant_id>/", grants.detail, name="grant"),
    path("portal/grants/<uuid:grant_id>/withdraw/", grants.withdraw, name="withdraw-grant"),
    path("portal/authorities/", authorities.tree, name="authorities"),
    path("portal/authorities/<uuid:authority_id>/", authorities.detail, name="authority"),
    path(
        "portal/authorities/<uuid:authority_id>/certificate.pem",
        authorities.pem,
        name="authority-pem",
    ),
    path("portal/profiles/", authorities.profiles, name="profiles"),
    path("portal/profiles/<slug:name>/", authorities.profile, name="profile"),
    path("portal/tokens/", tokens.index, name="tokens"),
    path("portal/tokens/<uuid:token_id>/revoke/", tokens.revoke, name="revoke-token"),
    path("portal/audit/", audit.index, name="audit"),
    path("portal/account/", person.account, name="account"),
    path("portal/namespace/", person.namespace, name="namespace"),
    path("portal/theme/", person.theme, name="theme"),
    path("portal/gateway/", forward_auth.landing, name="gateway"),
    path("portal/gateway/open/", forward_auth.enter, name="enter-gateway"),
    path("internal/forward-auth/admin", forward_auth.admin, name="forward-auth-admin"),
]
urlpatterns = [
    # People and their addresses come from the directory, and no mail is sent from here: so these
    # forms of allauth would promise what nobody keeps.
    re_path(
        r"^accounts/(?:signup|email|confirm-email|password/(?:reset|set)|login/code)/",
        editors.hidden,
    ),
    path("accounts/", include("allauth.urls")),
    path("", include((screens, "portal"))),
    # Last: the CMS answers whatever nobody else does.
    path("", include("pkakey.fronts.portal.editors")),
]
