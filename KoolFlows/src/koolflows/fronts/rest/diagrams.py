"""Diagrams: deploy, list, show, draw."""

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from koolflows.engine.drawing import draw
from koolflows.fronts.rest import representations, schemas
from koolflows.fronts.rest.endpoint import Endpoint, clock, principal_of, services_of
from koolflows.fronts.rest.problems import body_problem
from koolflows.fronts.rest.reading import body_of, query_of
from koolflows.selectors import diagrams as selected
from koolflows.services.errors import NotFound

SVG_HEADERS = {
    # A picture opened alone may run and load nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


class DiagramsEndpoint(Endpoint):
    """Deploys a bundle, and lists what may be started."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read", "POST": "flows:deploy"}

    @extend_schema(
        operation_id="deploy_diagram",
        tags=["diagrams"],
        request=schemas.DeployDiagram,
        responses={201: schemas.DiagramVersion, 200: schemas.DiagramVersion},
    )
    def post(self, request: Request) -> Response:
        """Deploy a bundle as its diagram's next version; the same files again change nothing."""
        fields = body_of(request, "files")
        files = fields.object("files")
        fields.done()
        if not all(isinstance(text, str) for text in files.values()):
            raise body_problem("request.invalid", "`files` maps names to texts.")
        key, number, is_new = services_of(request).deploy(
            principal=principal_of(request),
            files={name: text.encode() for name, text in files.items()},
            now=clock(),
        )
        found = selected.get_version(principal_of(request), key, number)
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(representations.diagram(found), status=code)

    @extend_schema(
        operation_id="list_diagrams", tags=["diagrams"], responses={200: schemas.Diagrams}
    )
    def get(self, request: Request) -> Response:
        """List the newest version of each diagram."""
        query_of(request).done()
        found = selected.list_diagrams(principal_of(request))
        return Response({"results": [representations.diagram(one) for one in found]})


class DiagramEndpoint(Endpoint):
    """Lists a diagram's versions."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="list_diagram_versions", tags=["diagrams"], responses={200: schemas.Diagrams}
    )
    def get(self, request: Request, key: str) -> Response:
        """List the versions of one diagram, newest first."""
        query_of(request).done()
        found = selected.list_versions(principal_of(request), key)
        return Response({"results": [representations.diagram(one) for one in found]})


class DiagramVersionEndpoint(Endpoint):
    """Shows one version."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="get_diagram_version",
        tags=["diagrams"],
        responses={200: schemas.DiagramVersion},
    )
    def get(self, request: Request, key: str, number: int) -> Response:
        """Show one version of a diagram."""
        query_of(request).done()
        found = selected.get_version(principal_of(request), key, number)
        return Response(representations.diagram(found))


class DiagramFileEndpoint(Endpoint):
    """Hands out one file of a version, as it was deployed."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="get_diagram_file",
        tags=["diagrams"],
        responses={(200, "application/xml"): OpenApiResponse(OpenApiTypes.STR)},
    )
    def get(self, request: Request, key: str, number: int, name: str) -> HttpResponse:
        """Download one .bpmn or .dmn file of a version."""
        query_of(request).done()
        found = selected.get_version(principal_of(request), key, number)
        if name not in found.files:
            raise NotFound("file")
        return HttpResponse(
            found.files[name],
            content_type="application/xml; charset=utf-8",
            headers={**SVG_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
        )


class DiagramPictureEndpoint(Endpoint):
    """Draws one version."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="get_diagram_picture",
        tags=["diagrams"],
        parameters=[OpenApiParameter("process", str, description="A called process's id.")],
        responses={(200, "image/svg+xml"): OpenApiResponse(OpenApiTypes.STR)},
    )
    def get(self, request: Request, key: str, number: int) -> HttpResponse:
        """Draw one version of a diagram from its own layout."""
        fields = query_of(request, "process")
        process = fields.text("process", at_most=100)
        fields.done()
        found = selected.get_version(principal_of(request), key, number)
        file = found.facts["processes"].get(process or key)
        if file is None:
            raise NotFound("process of this diagram")
        picture = draw(found.files[file])
        return HttpResponse(picture, content_type="image/svg+xml", headers=SVG_HEADERS)
