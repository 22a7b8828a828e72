"""What the tests ask over HTTP."""

from django.http import HttpResponse, JsonResponse

from probes.consumers import ended


def healthz(request):
    return HttpResponse("ok")


def disconnects(request):
    """What the disconnect handlers of probe consumers heard."""
    return JsonResponse({"disconnects": ended})
