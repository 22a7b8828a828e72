"""Paths of the views."""

from django.urls import path

from notifications.views import home
from probes.views import disconnects, healthz

urlpatterns = [
    path("healthz", healthz),
    path("home/", home),
    path("probe/disconnects/", disconnects),
]
