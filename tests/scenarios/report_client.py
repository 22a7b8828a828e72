"""The reports' HTTP and WebSocket interface, as scenarios use it."""

import http.client
import json
import os

from raw_websocket import RawWebSocket

FINAL = ("completed", "failed", "cancelled")


def started(server, method="POST", body=None, headers=None, seconds=60):
    """Starts a report and returns its id."""
    status, _, answer = server.request(method, "/reports/start/", body, headers, seconds)
    if status != 200:
        raise AssertionError(f"POST /reports/start/ answered {status}: {answer[:300]!r}")
    return json.loads(answer)["job_id"]


def start_demo(server, steps, step_seconds):
    body = json.dumps({"kind": "demo", "steps": steps, "step_seconds": step_seconds})
    return started(server, body=body, headers={"Content-Type": "application/json"})


def start_csv(server, path, seconds=300):
    """Uploads the file as a stream."""
    headers = {"Content-Type": "text/csv", "X-Filename": os.path.basename(path),
               "Content-Length": str(os.path.getsize(path))}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=seconds, blocksize=1 << 20)
    try:
        with open(path, "rb") as file:
            connection.request("POST", "/reports/start/", body=file, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise AssertionError(f"the upload was answered {answer.status}: {text[:300]!r}")
        return json.loads(text)["job_id"]
    finally:
        connection.close()


def state(server, job_id):
    """What GET /reports/<id>/ says."""
    status, value = server.get_json(f"/reports/{job_id}/")
    if status != 200:
        raise AssertionError(f"GET /reports/{job_id}/ answered {status}: {value}")
    return value


class Watcher(RawWebSocket):
    """A page that watches one report."""

    def __init__(self, server, job_id):
        super().__init__(("127.0.0.1", server.port), f"/ws/reports/{job_id}/", origin=server.url()[:-1])

    def frame(self, seconds=10):
        """The next frame; anything else, or nothing in time, is an error."""
        got = self.event(seconds)
        if got is None or got[0] != "message":
            raise AssertionError(f"expected a frame in {seconds} s, got {got}")
        return json.loads(got[1])

    def frames_until(self, condition, seconds):
        """All frames up to the first for which condition(frame) is true."""
        frames = [self.frame(seconds)]
        while not condition(frames[-1]):
            frames.append(self.frame(seconds))
        return frames
