"""The consumer of one report's pages."""

import json

from channels.generic.websocket import AsyncWebsocketConsumer


class ReportConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        self.group = "report_" + self.scope["url_route"]["kwargs"]["job_id"]
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def progress_update(self, event):
        shown = {name: event.get(name) for name in ("progress", "status")}
        await self.send(text_data=json.dumps({**shown, "message": event.get("message", "")}))
