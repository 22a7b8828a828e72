"""The consumer that `manage.py runworker jobs` runs."""

import os

from channels.consumer import AsyncConsumer


class JobConsumer(AsyncConsumer):
    """Tells every job that it handled to the group `job_results`."""

    async def job_run(self, event):
        told = {"type": "probe.event", "id": event["id"], "by": "python", "pid": os.getpid()}
        await self.channel_layer.group_send("job_results", told)
