"""Processes: start, list, show, draw, and what operators do with them."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from koolflows.engine.drawing import draw
from koolflows.fronts.rest import representations, schemas
from koolflows.fronts.rest.diagrams import SVG_HEADERS
from koolflows.fronts.rest.endpoint import Endpoint, clock, principal_of, services_of
from koolflows.fronts.rest.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PAGING, page
from koolflows.fronts.rest.reading import body_of, idempotency_key_of, query_of
from koolflows.selectors import processes as selected
from koolflows.services.errors import NotFound

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
    OpenApiParameter.HEADER,
    description="A random value; the same one again gets the same answer and does nothing.",
)


class ProcessesEndpoint(Endpoint):
    """Starts processes and lists them."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read", "POST": "flows:start"}

    @extend_schema(
        operation_id="start_process",
        tags=["processes"],
        parameters=[IDEMPOTENCY],
        request=schemas.StartProcess,
        responses={201: schemas.ProcessDetail, 200: schemas.ProcessDetail},
    )
    def post(self, request: Request) -> Response:
        """Start a process of a diagram; it runs until it waits for somebody or something."""
        fields = body_of(request, "diagram", "version", "business_key", "data")
        key = fields.required_text("diagram", at_most=100)
        number = fields.integer("version", least=1, most=10**6)
        business_key = fields.text("business_key", at_most=200)
        data = fields.object("data")
        fields.done()
        instance_id, is_new = services_of(request).start(
            principal=principal_of(request),
            key=key,
            data=data,
            number=number,
            business_key=business_key or "",
            idempotency_key=idempotency_key_of(request),
            now=clock(),
        )
        found = selected.get_process(principal_of(request), instance_id)
        headers = {"Location": reverse("rest:process", [instance_id], request=request)}
        if not is_new:
            headers["Idempotency-Replayed"] = "true"
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(representations.detail(found, request), status=code, headers=headers)

    @extend_schema(
        operation_id="list_processes",
        tags=["processes"],
        parameters=[
            OpenApiParameter("state", str, enum=schemas.STATES),
            OpenApiParameter("diagram", str, description="The key of a diagram."),
            OpenApiParameter("business_key", str),
            *PAGING,
        ],
        responses={200: schemas.Processes},
    )
    def get(self, request: Request) -> Response:
        """List processes, newest first."""
        fields = query_of(request, "state", "diagram", "business_key", "cursor", "page_size")
        state = fields.choice("state", schemas.STATES)
        key = fields.text("diagram", at_most=100)
        business_key = fields.text("business_key", at_most=200)
        cursor = fields.text("cursor", at_most=255)
        size = fields.integer("page_size", least=1, most=MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE
        fields.done()
        found = selected.list_processes(
            principal_of(request),
            state=state,
            key=key,
            business_key=business_key,
            cursor=cursor,
            limit=size,
        )
        return page(request, found, representations.process)


class ProcessEndpoint(Endpoint):
    """Shows one process."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="get_process", tags=["processes"], responses={200: schemas.ProcessDetail}
    )
    def get(self, request: Request, instance_id: UUID) -> Response:
        """Show a process, where it stands and which way it took."""
        query_of(request).done()
        found = selected.get_process(principal_of(request), instance_id)
        return Response(representations.detail(found, request))


class ProcessHistoryEndpoint(Endpoint):
    """Shows what happened to a process."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="get_process_history", tags=["processes"], responses={200: schemas.History}
    )
    def get(self, request: Request, instance_id: UUID) -> Response:
        """List what happened to a process, oldest first."""
        query_of(request).done()
        found = selected.list_history(principal_of(request), instance_id)
        return Response({"results": [representations.history(entry) for entry in found]})


class ProcessPictureEndpoint(Endpoint):
    """Draws a process's diagram with its tokens."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="get_process_picture",
        tags=["processes"],
        parameters=[
            OpenApiParameter("process", str, description="A called process's id."),
            OpenApiParameter(
                "styled", str, enum=["yes", "no"], description="`no` leaves the style to the page."
            ),
        ],
        responses={(200, "image/svg+xml"): OpenApiResponse(OpenApiTypes.STR)},
    )
    def get(self, request: Request, instance_id: UUID) -> HttpResponse:
        """Draw a process's diagram from its own layout, with the tokens' places marked."""
        fields = query_of(request, "process", "styled")
        process = fields.text("process", at_most=100)
        styled = fields.choice("styled", ["yes", "no"])
        fields.done()
        found = selected.get_process(principal_of(request), instance_id)
        file = found.facts["processes"].get(process or found.key)
        if file is None:
            raise NotFound("process of this diagram")
        picture = draw(
            found.files[file],
            here=found.places,
            passed=found.path,
            title=found.title,
            styled=styled != "no",
        )
        return HttpResponse(picture, content_type="image/svg+xml", headers=SVG_HEADERS)


class CancelProcessEndpoint(Endpoint):
    """Ends a process before its time."""

    permissions: ClassVar = {"POST": "flows:start"}

    @extend_schema(
        operation_id="cancel_process",
        tags=["processes"],
        request=schemas.Reason,
        responses={200: schemas.ProcessDetail},
    )
    def post(self, request: Request, instance_id: UUID) -> Response:
        """End a process: who started it may, and an operator."""
        fields = body_of(request, "reason")
        reason = fields.required_text("reason", at_most=500)
        fields.done()
        _seen(request, instance_id)
        services_of(request).cancel(
            principal=principal_of(request), instance_id=instance_id, reason=reason, now=clock()
        )
        return _seen(request, instance_id)


class ResumeProcessEndpoint(Endpoint):
    """Lets a stopped process go on."""

    permissions: ClassVar = {"POST": "flows:operate"}

    @extend_schema(
        operation_id="resume_process",
        tags=["processes"],
        request=None,
        responses={200: schemas.ProcessDetail},
    )
    def post(self, request: Request, instance_id: UUID) -> Response:
        """Let a process that an incident stopped go on from its last good state."""
        body_of(request).done()
        services_of(request).resume(
            principal=principal_of(request), instance_id=instance_id, now=clock()
        )
        return _seen(request, instance_id)


class MigrateProcessEndpoint(Endpoint):
    """Moves a process to another version of its diagram."""

    permissions: ClassVar = {"POST": "flows:operate"}

    @extend_schema(
        operation_id="migrate_process",
        tags=["processes"],
        request=schemas.Migration,
        responses={200: schemas.MigrationResult},
    )
    def post(self, request: Request, instance_id: UUID) -> Response:
        """Move a process to another version, or only check whether it can."""
        fields = body_of(request, "version", "check_only")
        number = fields.integer("version", least=1, most=10**6)
        is_check = fields.truth("check_only")
        fields.done()
        if number is None:
            raise NotFound("diagram")
        services = services_of(request)
        arguments: dict[str, Any] = {
            "principal": principal_of(request),
            "instance_id": instance_id,
            "number": number,
            "now": clock(),
        }
        reasons = services.check_migration(**arguments)
        moved = not reasons and not is_check
        if moved:
            services.migrate(**arguments)
        return Response({"possible": not reasons, "moved": moved, "reasons": reasons})


def _seen(request: Request, instance_id: UUID) -> Response:
    found = selected.get_process(principal_of(request), instance_id)
    return Response(representations.detail(found, request))
