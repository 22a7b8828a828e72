"""A page whose request sends notifications."""

import json

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.http import HttpResponse

from notifications.consumers import GROUP


def home(request):
    """Sends {"count": 1} … {"count": N}, N from the query string."""
    for number in range(1, int(request.GET.get("count", "9")) + 1):
        event = {"type": "send_notification", "value": json.dumps({"count": number})}
        async_to_sync(get_channel_layer().group_send)(GROUP, event)
    return HttpResponse()
