"""Messages to processes that wait for them."""

from http import HTTPStatus
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from koolflows.fronts.rest import schemas
from koolflows.fronts.rest.endpoint import Endpoint, clock, principal_of, services_of
from koolflows.fronts.rest.problems import Problem
from koolflows.fronts.rest.processes import IDEMPOTENCY
from koolflows.fronts.rest.reading import body_of, idempotency_key_of


class MessagesEndpoint(Endpoint):
    """Takes a message."""

    permissions: ClassVar = {"POST": "flows:message"}

    @extend_schema(
        operation_id="send_message",
        tags=["messages"],
        parameters=[IDEMPOTENCY],
        request=schemas.Message,
        responses={200: schemas.Decided},
    )
    def post(self, request: Request) -> Response:
        """Deliver a message, once, to the process with this key that waits for it."""
        fields = body_of(request, "name", "business_key", "payload")
        name = fields.required_text("name", at_most=100)
        business_key = fields.required_text("business_key", at_most=200)
        payload = fields.object("payload")
        fields.done()
        message_id = idempotency_key_of(request)
        if message_id is None:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "idempotency.missing",
                "Unreadable request",
                "A message needs an Idempotency-Key, so that it counts once.",
            )
        instance_id = services_of(request).deliver(
            principal=principal_of(request),
            name=name,
            business_key=business_key,
            payload=payload,
            message_id=message_id,
            now=clock(),
        )
        return Response({"process": str(instance_id)})
