"""The job behind a report, run by Celery, telling its progress through the channel layer."""

from asgiref.sync import async_to_sync
from celery import shared_task
from channels.layers import get_channel_layer


@shared_task
def make_report(job_id, steps):
    """Tells `steps` steps and the completion to the group of the report."""
    def tell(progress, status, message):
        event = {"type": "progress_update", "progress": progress, "status": status, "message": message + " by Celery"}
        async_to_sync(get_channel_layer().group_send)(f"report_{job_id}", event)

    for step in range(1, steps + 1):
        percent = step * 100 // steps
        tell(percent, "in_progress", f"{percent}% complete")
    tell(100, "completed", "Report completed")
    return steps
