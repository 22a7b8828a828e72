"""The ASGI application: views, consumers, and the consumer behind the channel `jobs`."""

import os

from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
views = get_asgi_application()

# Only now: consumers need settings that are loaded.
from notifications.consumers import NotificationConsumer
from probes.consumers import DenyingConsumer, ProbeConsumer, SubprotocolConsumer
from probes.worker import JobConsumer
from reports.consumers import ReportConsumer
from tasks.consumers import TaskConsumer
from wards.consumers import DashboardConsumer, WardConsumer

application = ProtocolTypeRouter({
    "http": views,
    # No origin validator: the clients of these tests are no browsers and send no Origin.
    "websocket": URLRouter([
        re_path(r"ws/reports/(?P<job_id>[0-9a-fA-F-]+)/$", ReportConsumer.as_asgi()),
        path("ws/ward/<int:ward_id>/", WardConsumer.as_asgi()),
        path("ws/dashboard/<str:role>/", DashboardConsumer.as_asgi()),
        path("ws/tasks/", TaskConsumer.as_asgi()),
        path("ws/test/", NotificationConsumer.as_asgi()),
        path("ws/probe/", ProbeConsumer.as_asgi()),
        path("ws/subprotocol/", SubprotocolConsumer.as_asgi()),
        path("ws/deny/", DenyingConsumer.as_asgi()),
    ]),
    "channel": ChannelNameRouter({"jobs": JobConsumer.as_asgi()}),
})
