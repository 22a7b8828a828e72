"""A Python process at the channel layer of this site, which does what it reads.

Each line of standard input is {"id": N, "do": NAME, "with": {…}}; each line of standard output is {"id": N, "value": …}
or {"id": N, "error": CLASS, "text": …}. Orders run side by side, so that a long stream does not stop the others.
"""

import asyncio
import json
import logging
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from channels.layers import get_channel_layer

from probes.shown import meant, shown
from project.celery import app
from reports.tasks import make_report


class OverCapacity(logging.Handler):
    """Counts the queues that the core layer found full, which it tells nobody but its log."""

    count = 0

    def emit(self, record):
        if "over capacity" in record.msg:
            self.count += int(record.args[0])


class Control:
    def __init__(self):
        self.layer = get_channel_layer()
        self.over_capacity = OverCapacity(logging.INFO)
        logging.getLogger("channels_redis.core").addHandler(self.over_capacity)

    async def group_send(self, group, event):
        await self.layer.group_send(group, meant(event))

    async def send(self, channel, event):
        await self.layer.send(channel, meant(event))

    async def group_add(self, group, channel):
        await self.layer.group_add(group, channel)

    async def group_discard(self, group, channel):
        await self.layer.group_discard(group, channel)

    async def new_channel(self):
        return await self.layer.new_channel()

    async def receive(self, channel, seconds):
        return shown(await asyncio.wait_for(self.layer.receive(channel), seconds))

    async def make_report(self, job_id, steps):
        """Gives the job to a Celery worker."""
        await asyncio.get_running_loop().run_in_executor(None, make_report.delay, job_id, steps)

    async def stream(self, group, count, publisher="python", first=0, interval=0.0, type="probe.event"):
        """Sends {"publisher", "n"} with n = first, first + 1, …; says which failed and how long it took."""
        failed, full_before, begun = [], self.over_capacity.count, time.monotonic()
        for number in range(first, first + count):
            try:
                await self.layer.group_send(group, {"type": type, "publisher": publisher, "n": number})
            except Exception as why:
                failed.append([number, type_name(why)])
                await asyncio.sleep(0.05)  # Redis is away: do not spin
            if interval:
                await asyncio.sleep(interval)
        return {"failed": failed, "over_capacity": self.over_capacity.count - full_before,
                "seconds": time.monotonic() - begun}


def type_name(why):
    return type(why).__name__


async def obey(control, line):
    order = json.loads(line)
    try:
        answer = {"value": await getattr(control, order["do"])(**order.get("with", {}))}
    except Exception as why:
        answer = {"error": type_name(why), "text": str(why)}
    print(json.dumps({"id": order["id"], **answer}), flush=True)


async def main():
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    control, running = Control(), set()
    print(json.dumps({"id": 0, "value": "ready"}), flush=True)
    while line := await reader.readline():
        task = asyncio.create_task(obey(control, line))
        running.add(task)
        task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(main())
