"""The consumer of the task list."""

import json

from channels.generic.websocket import AsyncWebsocketConsumer


class TaskConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add("tasks", self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard("tasks", self.channel_name)

    async def task_update(self, event):
        await self.send(text_data=json.dumps(event["data"]))
