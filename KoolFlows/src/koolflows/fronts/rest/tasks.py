"""Human tasks: the inbox, deciding, claiming, handing over."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from koolflows.fronts.rest import representations, schemas
from koolflows.fronts.rest.endpoint import Endpoint, clock, principal_of, services_of
from koolflows.fronts.rest.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PAGING, page
from koolflows.fronts.rest.reading import body_of, query_of
from koolflows.selectors import inbox


class TasksEndpoint(Endpoint):
    """Lists open tasks."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="list_tasks",
        tags=["tasks"],
        parameters=[
            OpenApiParameter(
                "box",
                str,
                enum=schemas.BOXES,
                description="`mine` are assigned to you, `group` to nobody yet.",
            ),
            *PAGING,
        ],
        responses={200: schemas.Tasks},
    )
    def get(self, request: Request) -> Response:
        """List the open tasks that you may decide, oldest first."""
        fields = query_of(request, "box", "cursor", "page_size")
        box = fields.choice("box", schemas.BOXES)
        cursor = fields.text("cursor", at_most=255)
        size = fields.integer("page_size", least=1, most=MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE
        fields.done()
        found = inbox.list_tasks(
            principal_of(request), box=box or "all", now=clock(), cursor=cursor, limit=size
        )
        return page(request, found, representations.task)


class ProcessTasksEndpoint(Endpoint):
    """Lists a process's tasks."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(
        operation_id="list_process_tasks", tags=["tasks"], responses={200: schemas.Tasks}
    )
    def get(self, request: Request, instance_id: UUID) -> Response:
        """List a process's tasks that concern you, oldest first."""
        query_of(request).done()
        found = inbox.list_of_process(principal_of(request), instance_id)
        return Response({"next": None, "results": [representations.task(one) for one in found]})


class TaskEndpoint(Endpoint):
    """Shows one task."""

    permissions: ClassVar = {"GET": "flows:read", "HEAD": "flows:read"}

    @extend_schema(operation_id="get_task", tags=["tasks"], responses={200: schemas.Task})
    def get(self, request: Request, task_id: UUID) -> Response:
        """Show one task with its form."""
        query_of(request).done()
        return _seen(request, task_id)


class DecideTaskEndpoint(Endpoint):
    """Decides one task."""

    permissions: ClassVar = {"POST": "flows:decide"}

    @extend_schema(
        operation_id="decide_task",
        tags=["tasks"],
        request=schemas.Decision,
        responses={200: schemas.Decided},
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        """Decide a task with the values of its form; of two deciders at once one gets 409."""
        fields = body_of(request, "values")
        values = fields.object("values")
        fields.done()
        instance_id = services_of(request).decide(
            principal=principal_of(request), task_id=task_id, values=values, now=clock()
        )
        return Response({"process": str(instance_id)})


class ClaimTaskEndpoint(Endpoint):
    """Takes one task."""

    permissions: ClassVar = {"POST": "flows:decide"}

    @extend_schema(
        operation_id="claim_task", tags=["tasks"], request=None, responses={200: schemas.Task}
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        """Take a task for yourself."""
        body_of(request).done()
        services_of(request).claim(principal=principal_of(request), task_id=task_id, now=clock())
        return _seen(request, task_id)


class DelegateTaskEndpoint(Endpoint):
    """Hands one task over."""

    permissions: ClassVar = {"POST": "flows:decide"}

    @extend_schema(
        operation_id="delegate_task",
        tags=["tasks"],
        request=schemas.Delegation,
        responses={200: schemas.Task},
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        """Hand a task over to a person, who needs its role when deciding, or back to the group."""
        fields = body_of(request, "to", "to_name", "reason")
        to = fields.text("to", at_most=128) or ""
        to_name = fields.text("to_name", at_most=200) or to
        reason = fields.required_text("reason", at_most=500)
        fields.done()
        services_of(request).delegate(
            principal=principal_of(request),
            task_id=task_id,
            to=to,
            to_name=to_name,
            reason=reason,
            now=clock(),
        )
        return _seen(request, task_id)


def _seen(request: Request, task_id: UUID) -> Response:
    return Response(representations.task(inbox.get_task(principal_of(request), task_id)))
