"""Three pages of one report at node A, the worker in another process of Carillon, a Celery worker that tells progress
to the same group: all pages move."""

import unittest

from carillon_process import CarillonProcess
from peers import CeleryWorker, PythonPeer, layer_setting
from redis_process import RedisProcess
from report_client import FINAL, Watcher, start_demo

PAGES, STEPS, CELERY_STEPS = 3, 20, 5


class Reports(unittest.TestCase):
    wire, scheme = "core", "redis"

    def test_pages_move_by_a_worker_elsewhere_and_by_a_python_worker(self):
        redis = self.enterContext(RedisProcess())
        layer, broker = layer_setting(self.wire, [redis.url()]), redis.url(database=1)
        options = ["--channel-layer", redis.url(self.scheme)]
        peer, celery = PythonPeer(layer, broker), CeleryWorker(layer, broker)
        for one in (peer, celery):
            self.addCleanup(one.close)
            one.start()
        node = self.enterContext(CarillonProcess("--workers", "0", *options))
        job = start_demo(node, STEPS, 0.1)
        pages = [self.enterContext(Watcher(node, job)) for _ in range(PAGES)]
        for page in pages:
            self.assertEqual(page.frame()["status"], "started")
        self.enterContext(CarillonProcess("-c", "1", *options, command="worker", beside=node))
        for one in (peer, celery):
            one.wait_ready()
        peer.call("make_report", job_id=job, steps=CELERY_STEPS)
        for page in pages:
            self.assert_moves(page)

    def assert_moves(self, page):
        """Both workers' progress arrives, each in its order, until both have completed."""
        ours, theirs = [], []
        while not (ours and ours[-1]["status"] in FINAL and theirs and theirs[-1]["status"] in FINAL):
            frame = page.frame(30)
            (theirs if frame["message"].endswith(" by Celery") else ours).append(frame)
        wanted = [*range(100 // CELERY_STEPS, 101, 100 // CELERY_STEPS), 100]
        self.assertEqual([frame["progress"] for frame in theirs], wanted)
        progress = [frame["progress"] for frame in ours]
        self.assertEqual(progress, sorted(progress))
        self.assertEqual(ours[-1], {"progress": 100, "status": "completed", "message": "Report completed"})
        self.assertGreater(len(ours), 3)


class PubsubReports(Reports):
    wire, scheme = "pubsub", "redis+pubsub"
