"""The consumers of ward pages and dashboards."""

from channels.generic.websocket import AsyncJsonWebsocketConsumer


class GroupConsumer(AsyncJsonWebsocketConsumer):
    """Belongs to one group for as long as it is connected."""

    def group(self):
        raise NotImplementedError

    async def connect(self):
        await self.channel_layer.group_add(self.group(), self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group(), self.channel_name)


class WardConsumer(GroupConsumer):
    """A ward: tells changes of its beds to all of its pages and to the dashboard of the ward's managers."""

    changes = 0

    def group(self):
        return f"ward_{self.scope['url_route']['kwargs']['ward_id']}"

    async def receive_json(self, content):
        action = content.get("action")
        if action == "get_status":
            ward = self.scope["url_route"]["kwargs"]["ward_id"]
            await self.send_json({"type": "ward_status", "data": {"ward": ward, "changes": self.changes}})
        elif action == "set_bed":
            data = {"bed_id": content["bed_id"], "status": content["status"]}
            await self.channel_layer.group_send(self.group(), {"type": "bed_status_change", "data": data})
            await self.channel_layer.group_send("dashboard_ward_management",
                                                {"type": "dashboard_update", "data": {"last_bed": data["bed_id"]}})
        else:
            message = {"code": "invalid", "message": "No such action."}
            await self.send_json({"type": "error", "data": message})

    async def bed_status_change(self, event):
        self.changes += 1
        await self.send_json({"type": "bed_status_change", "data": event["data"]})

    async def patient_admitted(self, event):
        self.changes += 1
        await self.send_json({"type": "patient_admitted", "data": event["data"]})


class DashboardConsumer(GroupConsumer):
    def group(self):
        return f"dashboard_{self.scope['url_route']['kwargs']['role']}"

    async def dashboard_update(self, event):
        await self.send_json(event["data"])
