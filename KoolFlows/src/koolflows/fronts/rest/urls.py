"""The addresses of the API, below /api/v1/."""

from django.urls import path, re_path

from koolflows.fronts.rest import diagrams, messages, openapi, processes, tasks

app_name = "rest"
_PROCESS = "processes/<uuid:instance_id>/"
_TASK = "tasks/<uuid:task_id>/"
_VERSION = "diagrams/<str:key>/<int:number>/"
urlpatterns = [
    path("openapi.json", openapi.openapi_document, name="openapi"),
    path("diagrams/", diagrams.DiagramsEndpoint.as_view(), name="diagrams"),
    path("diagrams/<str:key>/", diagrams.DiagramEndpoint.as_view(), name="diagram"),
    path(_VERSION, diagrams.DiagramVersionEndpoint.as_view(), name="diagram-version"),
    path(
        f"{_VERSION}picture.svg", diagrams.DiagramPictureEndpoint.as_view(), name="diagram-picture"
    ),
    path(
        f"{_VERSION}files/<str:name>", diagrams.DiagramFileEndpoint.as_view(), name="diagram-file"
    ),
    path("processes/", processes.ProcessesEndpoint.as_view(), name="processes"),
    path(_PROCESS, processes.ProcessEndpoint.as_view(), name="process"),
    path(f"{_PROCESS}history/", processes.ProcessHistoryEndpoint.as_view(), name="process-history"),
    path(f"{_PROCESS}tasks/", tasks.ProcessTasksEndpoint.as_view(), name="process-tasks"),
    path(
        f"{_PROCESS}picture.svg", processes.ProcessPictureEndpoint.as_view(), name="process-picture"
    ),
    path(f"{_PROCESS}cancel/", processes.CancelProcessEndpoint.as_view(), name="process-cancel"),
    path(f"{_PROCESS}resume/", processes.ResumeProcessEndpoint.as_view(), name="process-resume"),
    path(
        f"{_PROCESS}migration/", processes.MigrateProcessEndpoint.as_view(), name="process-migrate"
    ),
    path("tasks/", tasks.TasksEndpoint.as_view(), name="tasks"),
    path(_TASK, tasks.TaskEndpoint.as_view(), name="task"),
    path(f"{_TASK}decision/", tasks.DecideTaskEndpoint.as_view(), name="task-decide"),
    path(f"{_TASK}claim/", tasks.ClaimTaskEndpoint.as_view(), name="task-claim"),
    path(f"{_TASK}delegation/", tasks.DelegateTaskEndpoint.as_view(), name="task-delegate"),
    path("messages/", messages.MessagesEndpoint.as_view(), name="messages"),
    # A path may hold a line's end.
    re_path(r"^[\s\S]*$", openapi.UnknownPathEndpoint.as_view()),
]
