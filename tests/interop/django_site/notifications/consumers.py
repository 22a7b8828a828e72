"""The consumer of notifications: a synchronous one, as many sites have them."""

import json

from asgiref.sync import async_to_sync
from channels.generic.websocket import WebsocketConsumer

GROUP = "test_consumer_group"


class NotificationConsumer(WebsocketConsumer):
    def connect(self):
        async_to_sync(self.channel_layer.group_add)(GROUP, self.channel_name)
        self.accept()

    def disconnect(self, code):
        async_to_sync(self.channel_layer.group_discard)(GROUP, self.channel_name)

    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data=json.dumps({"status": "Data received!"}))

    def send_notification(self, event):
        self.send(text_data=event["value"])
