"""Approvals: the inbox, a task and its decision, a process with its diagram, requests.

The portal asks KoolFlows in the person's own name, with their roles of this moment; KoolFlows
decides who may see and decide what.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pkakey.fronts.portal.forms_of_tasks import Field, fields_of, values_of
from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import requests
from pkakey.services.errors import NotFound, NotPermitted, ServiceUnavailable

BOXES: Final = (
    ("all", "All"), ("mine", "Mine"), ("group", "My groups'"), ("overdue", "Overdue"),
)  # fmt: skip
_PICTURE: Final = '<svg xmlns="http://www.w3.org/2000/svg" class="flow-picture"'
_MOMENTS: Final = ("created_at", "due_at", "completed_at", "started_at", "ended_at", "at")
_PER_PAGE: Final = 50


class RefusedByFlows(Exception):  # noqa: N818  # An answer, named by what it says.
    """KoolFlows understood, and said no: a sentence for the person."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def ask(
    request: PortalRequest, method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return KoolFlows' answer; raises `NotFound`, `RefusedByFlows`, `ServiceUnavailable`."""
    answer = request.services.flows.ask(
        principal=request.principal, method=method, path=path, body=body, now=clock()
    )
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NotFound("task or process")
    if not answer.is_success:
        raise RefusedByFlows(answer.status, why(answer.body))
    return cast("dict[str, Any]", _with_moments(answer.body))


def why(problem: Mapping[str, Any]) -> str:
    """Return what a problem document of KoolFlows says, as sentences for a person."""
    errors = problem.get("errors")
    said = [str(problem.get("detail", "KoolFlows refused it."))]
    if isinstance(errors, list):
        said += [str(one.get("detail", "")) for one in errors if isinstance(one, dict)]
    return " ".join(said)[:1000]


def _with_moments(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _moment(one) if key in _MOMENTS else _with_moments(one)
            for key, one in value.items()
        }
    return [_with_moments(one) for one in value] if isinstance(value, list) else value


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def unavailable(request: PortalRequest, error: ServiceUnavailable) -> HttpResponse:
    """Say that KoolFlows is away."""
    content = {"here": "approvals", "detail": error.detail}
    return render(request, "portal/approvals_away.html", content, status=503)


@screen("flows:read")
@require_safe
def inbox(request: PortalRequest) -> HttpResponse:
    """Show the open tasks that this person may decide."""
    box = request.GET.get("box", "all")
    if box not in dict(BOXES):
        raise NotFound("box")
    cursor = request.GET.get("cursor", "")[:255]
    path = f"tasks/?box={box}&page_size={_PER_PAGE}"
    if cursor and cursor.replace("-", "").replace("_", "").replace("=", "").isalnum():
        path += f"&cursor={cursor}"
    try:
        found = ask(request, "GET", path)
    except RefusedByFlows as refused:
        raise PermissionDenied(refused.detail) from refused
    except ServiceUnavailable as error:
        return unavailable(request, error)
    following = str(found.get("next") or "").partition("cursor=")[2].partition("&")[0]
    return render(
        request,
        "portal/tasks.html",
        {
            "here": "approvals",
            "now": clock(),
            "box": box,
            "boxes": BOXES,
            "tasks": found["results"],
            "following": following,
            "requests": requests.list_requests(
                request.principal, state=None, before=None, limit=10
            ),
        },
    )


@screen("flows:read")
@require_http_methods(["GET", "HEAD", "POST"])
def task(request: PortalRequest, task_id: UUID) -> HttpResponse:
    """Show a task with its form and its process; decide it."""
    try:
        item = ask(request, "GET", f"tasks/{task_id}/")
        fields = fields_of(item.get("form"))
        refusal = ""
        status = 200
        if request.method == "POST":
            _require_decide(request)
            fields = fields_of(item.get("form"), request.POST)
            try:
                body = {"values": values_of(fields)}
                ask(request, "POST", f"tasks/{task_id}/decision/", body)
            except RefusedByFlows as refused:
                refusal, status = refused.detail, refused.status
            else:
                messages.success(request, "Your decision is recorded.")
                return redirect("portal:process", item["process"])
        content = _task_content(request, item, fields, refusal)
    except RefusedByFlows as refused:
        raise PermissionDenied(refused.detail) from refused
    except ServiceUnavailable as error:
        return unavailable(request, error)
    return render(request, "portal/task.html", content, status=status)


def _require_decide(request: PortalRequest) -> None:
    if not request.principal.can("flows:decide"):
        raise NotPermitted("flows:decide")


def _task_content(
    request: PortalRequest, item: dict[str, Any], fields: list[Field], refusal: str
) -> dict[str, Any]:
    process_id = UUID(str(item["process"]))
    return {
        "here": "approvals",
        "now": clock(),
        "item": item,
        "fields": fields,
        "refusal": refusal,
        "request_item": requests.request_of_process(request.principal, process_id),
        "picture": picture_of(request, process_id),
    }


@screen("flows:decide")
@require_POST
def claim(request: PortalRequest, task_id: UUID) -> HttpResponse:
    """Take a task for oneself."""
    try:
        ask(request, "POST", f"tasks/{task_id}/claim/", {})
    except RefusedByFlows as refused:
        messages.error(request, refused.detail)
    except ServiceUnavailable as error:
        return unavailable(request, error)
    else:
        messages.success(request, "The task is yours; nobody else decides it now.")
    return redirect("portal:task", task_id)


@screen("flows:read")
@require_safe
def process(request: PortalRequest, process_id: UUID) -> HttpResponse:
    """Show a process: its diagram with the token's place, its tasks and its history."""
    try:
        item = ask(request, "GET", f"processes/{process_id}/")
        history = ask(request, "GET", f"processes/{process_id}/history/")["results"]
        tasks = ask(request, "GET", f"processes/{process_id}/tasks/")["results"]
        picture = picture_of(request, process_id)
    except RefusedByFlows as refused:
        raise PermissionDenied(refused.detail) from refused
    except ServiceUnavailable as error:
        return unavailable(request, error)
    return render(
        request,
        "portal/process.html",
        {
            "here": "approvals",
            "now": clock(),
            "item": item,
            "history": history,
            "tasks": tasks,
            "picture": picture,
            "request_item": requests.request_of_process(request.principal, process_id),
        },
    )


def picture_of(request: PortalRequest, process_id: UUID) -> str:
    """Return the process's picture, to stand in a page of ours; empty when there is none."""
    answer = request.services.flows.ask(
        principal=request.principal,
        method="GET",
        path=f"processes/{process_id}/picture.svg?styled=no",
        now=clock(),
    )
    if not answer.is_success or not answer.text.startswith(_PICTURE):
        return ""
    # Drawn by KoolFlows, which escapes each text of the diagram; the page's own policy lets
    # nothing in it run or load.
    return mark_safe(answer.text)  # noqa: S308


@screen("flows:read")
@require_safe
def request_page(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """Show where a request stands."""
    item = requests.get_request(request.principal, request_id)
    picture = ""
    if item.process_id is not None:
        try:
            picture = picture_of(request, item.process_id)
        except ServiceUnavailable:
            picture = ""  # What PKaKey knows itself is shown all the same.
    content = {"here": "approvals", "now": clock(), "item": item, "picture": picture}
    return render(request, "portal/request.html", content)
