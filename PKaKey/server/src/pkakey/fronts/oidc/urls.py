"""The callback; allauth includes it below /accounts/."""

from django.urls import path

from pkakey.fronts.oidc import views

urlpatterns = [
    path("oidc/keycloak/login/", views.sign_in, name="keycloak_login"),
    path("oidc/keycloak/login/callback/", views.callback, name="keycloak_callback"),
]
