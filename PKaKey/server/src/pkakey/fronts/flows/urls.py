"""The addresses for KoolFlows, below `/internal/flows/`."""

from django.urls import path

from pkakey.fronts.flows.operations import perform

app_name = "flows"
urlpatterns = [path("<slug:operation>/", perform, name="operation")]
