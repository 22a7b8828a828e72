"""Consumers for tests: one that shows every event and obeys its client, and two of the handshake."""

import json
from urllib.parse import parse_qs

from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer

from probes.shown import meant, shown

# What probe consumers of this process heard at their end: {"channel": …, "code": …}.
ended = []


class ProbeConsumer(AsyncJsonWebsocketConsumer):
    """Joins the groups of its query string (`?group=a,b`) and tells its channel's name in the first frame."""

    async def connect(self):
        given = parse_qs(self.scope["query_string"].decode()).get("group", [])
        self.joined = given[0].split(",") if given else []
        for group in self.joined:
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()
        await self.send_json({"channel_name": self.channel_name})

    async def disconnect(self, code):
        ended.append({"channel": self.channel_name, "code": code})
        for group in self.joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content):
        order = content["do"]
        if order == "join":
            await self.channel_layer.group_add(content["group"], self.channel_name)
            self.joined.append(content["group"])
        elif order == "leave":
            await self.channel_layer.group_discard(content["group"], self.channel_name)
            self.joined.remove(content["group"])
        elif order == "group_send":
            await self.channel_layer.group_send(content["group"], meant(content["event"]))
        elif order == "send":
            await self.channel_layer.send(content["channel"], meant(content["event"]))
        elif order == "close":
            await self.close(content["code"])
            return
        elif order == "raise":
            raise RuntimeError("as the client wished")
        await self.send_json({"done": order})

    async def show(self, event):
        await self.send_json({"event": shown(event)})

    x = t = x_y = job_run = old_key = chat_message = probe_event = probe_marker = show


class SubprotocolConsumer(AsyncWebsocketConsumer):
    """Accepts with the subprotocol that `?pick=` names; without it with none."""

    async def connect(self):
        picked = parse_qs(self.scope["query_string"].decode()).get("pick", [None])[0]
        await self.accept(subprotocol=picked)


class DenyingConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        raise DenyConnection()
