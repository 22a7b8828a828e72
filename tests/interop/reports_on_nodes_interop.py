"""The CSV report with its worker on another node: the job goes through RabbitMQ, its progress through Redis, files and
rows through what the nodes share of the data folder."""

import collections
import contextlib
import csv
import functools
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

from carillon_process import ROOT, CarillonProcess, wait_until
from celery_case import shared_rabbitmq
from rabbitmq_process import SERVER
from redis_process import RedisProcess
from report_client import FINAL, Watcher, start_csv, state

SIZE = "150M"
REPORT_SECONDS = 60
SHARED = ("uploads", "results")


class WorkerNode(CarillonProcess):
    """A worker with a data folder of its own, which leads to the folders and the database of the server."""

    def __init__(self, server, *options):
        super().__init__("-c", "1", "--database", f"sqlite:{server.data_dir}/carillon.db", *options, command="worker")
        self.data_dir.mkdir(mode=0o700)
        for name in SHARED:
            (self.data_dir / name).symlink_to(server.data_dir / name)


@unittest.skipUnless(os.access(SERVER, os.X_OK), f"{SERVER} is not installed")
class CsvReportOnTwoNodes(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as running:
            folder = running.enter_context(tempfile.TemporaryDirectory(prefix="carillon-csv-"))
            cls.path = pathlib.Path(folder) / "large.csv"
            subprocess.run([sys.executable, ROOT / "tools/make_csv.py", SIZE, cls.path], check=True, timeout=120,
                           capture_output=True)
            redis = running.enter_context(RedisProcess())
            cls.options = ["--broker", shared_rabbitmq().url(), "--channel-layer", redis.url()]
            cls.server = running.enter_context(CarillonProcess("--workers", "0", *cls.options))
            cls.addClassCleanup(running.pop_all().close)

    def worker(self, options=None):
        return self.enterContext(WorkerNode(self.server, *(options or self.options)))

    def watched_report(self):
        """A report that waits for a worker, and a page that watches it."""
        job = start_csv(self.server, self.path)
        page = self.enterContext(Watcher(self.server, job))
        self.assertEqual(page.frame()["status"], "started")
        return job, page

    def run_part(self, page):
        """The frames until the report is well under way."""
        frames = page.frames_until(lambda frame: frame["progress"] >= 15, REPORT_SECONDS)
        self.assertEqual(frames[-1]["status"], "in_progress")
        return frames

    def finish(self, page):
        return page.frames_until(lambda frame: frame["status"] in FINAL, REPORT_SECONDS)

    def assert_grows(self, frames):
        progress = [frame["progress"] for frame in frames]
        self.assertEqual(progress, sorted(progress))
        return progress

    def assert_result_is_right(self, job):
        status, report = self.server.get_json(f"/reports/{job}/result.json")
        self.assertEqual((status, report["filename"], report["bytes"]), (200, "large.csv", self.path.stat().st_size))
        columns = {column["name"]: column for column in report["columns"]}
        stations = {one["value"]: one["count"] for one in columns["station"]["top"]}
        self.assertEqual((list(columns), report["rows"], stations, columns["comment"]["missing"],
                          columns["amount"]["min"], columns["amount"]["max"]), self.figures())
        status, _, page = self.server.request("GET", f"/reports/{job}/result.html")
        self.assertEqual(status, 200)
        for shown in ("large.csv", *columns):
            self.assertIn(shown, page.decode())

    @classmethod
    @functools.cache
    def figures(cls):
        """What an independent reader finds: names, rows, stations, missing comments, least and largest amount."""
        stations, missing, low, high = collections.Counter(), 0, math.inf, -math.inf
        with open(cls.path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            names = next(rows)
            station, comment, amount = (names.index(name) for name in ("station", "comment", "amount"))
            for row in rows:
                stations[row[station]] += 1
                missing += row[comment] == ""
                if row[amount] not in ("", "NA"):
                    low, high = min(low, float(row[amount])), max(high, float(row[amount]))
        return names, stations.total(), dict(stations), missing, low, high

    def assert_completed(self, job, frames):
        self.assertEqual(frames[-1], {"progress": 100, "status": "completed", "message": "Report completed"})
        row = state(self.server, job)
        self.assertEqual((row["status"], row["progress"], row["error"]), ("completed", 100, None))
        self.assertFalse((self.server.data_dir / "uploads" / f"{job}.csv").exists(), "the upload is still there")

    def test_progress_grows_and_the_result_is_right(self):
        job, page = self.watched_report()
        worker = self.worker()
        frames = self.finish(page)
        progress = self.assert_grows(frames)
        self.assertGreater(len([one for one in progress if 0 < one < 100]), 2, progress)
        self.assert_completed(job, frames)
        self.assert_result_is_right(job)
        self.assertFalse((worker.data_dir / "carillon.db").exists())
        self.assertFalse((worker.data_dir / "queue.db").exists())
        self.assertEqual(worker.stop(), 0)

    def test_cancel_stops_the_worker_elsewhere(self):
        job, page = self.watched_report()
        worker = self.worker()
        self.run_part(page)
        begin = time.monotonic()
        status, _, _ = self.server.request("POST", f"/reports/{job}/cancel/")
        self.assertEqual(status, 200)
        self.assertEqual(self.finish(page)[-1]["status"], "cancelled")
        self.assertLess(time.monotonic() - begin, 1.5)
        wait_until(lambda: json.loads(worker.run("inspect", "active", *self.options[:2]).stdout)["active"] == [], 5,
                   "the worker is free")
        self.assertEqual(state(self.server, job)["status"], "cancelled")
        self.assertEqual(self.server.get_json(f"/reports/{job}/result.json")[0], 409)

    def test_a_killed_worker_leaves_a_report_that_ends_well(self):
        job, page = self.watched_report()
        self.run_with_kill(job, page)
        self.worker()
        frames = self.finish(page)
        self.assert_grows(frames)
        self.assert_completed(job, frames)
        self.assert_result_is_right(job)

    def run_with_kill(self, job, page):
        first = self.worker()
        self.run_part(page)
        first.kill()
        self.assertEqual(state(self.server, job)["status"], "in_progress", "the kill came too late")

    def test_the_server_restarts_meanwhile_and_the_page_comes_back(self):
        waiting = start_csv(self.server, self.path)
        self.server.restart()
        page = self.enterContext(Watcher(self.server, waiting))
        self.assertEqual(page.frame()["status"], "started", "a report that waits in RabbitMQ was given up")
        self.worker()
        self.run_part(page)
        self.server.restart()
        again = self.enterContext(Watcher(self.server, waiting))
        frames = self.finish(again)
        self.assertNotEqual(frames[0]["status"], "failed", frames)
        self.assert_completed(waiting, frames)
        status, _, _ = self.server.request("POST", f"/reports/{waiting}/cancel/")
        self.assertEqual(status, 409, "a report that is complete was cancelled")
        self.assertEqual(state(self.server, waiting)["status"], "completed")

    def test_a_worker_that_shares_nothing_says_so(self):
        job, page = self.watched_report()
        self.enterContext(CarillonProcess("-c", "1", *self.options, command="worker"))
        last = self.finish(page)[-1]
        self.assertEqual((last["status"], last["message"]), ("failed", "the uploaded file is not there any more"))
        self.assertEqual(state(self.server, job)["status"], "started")


if __name__ == "__main__":
    unittest.main()
