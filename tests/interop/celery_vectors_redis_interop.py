"""The recorded elements of Celery 5.2.6 and 5.6.3 put, byte for byte, into the lists of a Redis with a worker of
Carillon; its records are compared with those of Celery's worker, and both are read by Celery. Scenario 3.

Only elements with a moment are written anew, with that moment in the present."""

import json
import time
import unittest

from carillon_process import CarillonProcess, default_binary, wait_until
from celery_case import FINAL, SOON, Redis
from proj import make_app
from recorded_celery import NODE, RELEASES, VECTORS, from_sender, in_present

RECORD = "celery-task-meta-"
LONG_AGO = 4000  # seconds; longer than the visibility timeout


def commands(release, name, *scenarios):
    """(scenario, command) in the order in which Celery sent them."""
    return [(scenario, command) for scenario, all_of_it in VECTORS["redis"][release].items()
            for command in all_of_it if command[0] == name and (not scenarios or scenario in scenarios)]


def elements(release):
    """(scenario, list, text, envelope) of every task that was pushed."""
    return [(scenario, command[1], command[2], envelope) for scenario, command in commands(release, "LPUSH")
            if "task" in (envelope := json.loads(command[2]))["headers"]]


def records(release):
    """The last record of every task."""
    return {command[1][len(RECORD):]: json.loads(command[3]) for _, command in commands(release, "SETEX")
            if command[1].startswith(RECORD)}


class ElementsInRedis(Redis, unittest.TestCase):

    with_python = with_carillon = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.worker = cls.running.enter_context(
            CarillonProcess("-E", "-Q", "celery", "-c", "8", "-n", NODE, "--broker", cls.broker.url(), command="worker",
                            binary=default_binary().parent / "carillon-interop"))
        cls.inspected = cls.app.control.inspect(destination=[NODE], timeout=0.5, limit=1)
        wait_until(cls.inspected.ping, SOON, f"{NODE} answers")

    def tearDown(self):
        self.broker.command("FLUSHALL")

    def push(self, where, text, envelope):
        if envelope["headers"]["eta"]:
            text = json.dumps({**envelope, "headers": in_present(envelope["headers"])})
        self.broker.command("LPUSH", where, text)

    def play(self, release):
        """Pushes what the client pushed; waits for a record of every task that has a recorded one."""
        for _, command in commands(release, "SETEX"):
            if command[1].endswith(".s"):  # how many members a chord has
                self.broker.command(*command)
        sent = [one for one in elements(release) if from_sender({"properties": one[3]})]
        for _, where, text, envelope in sent:
            self.push(where, text, envelope)
        for scenario, command in commands(release, "PUBLISH", "revoke", "terminate"):
            identity = next(one[3]["headers"]["id"] for one in sent if one[0] == scenario)
            self.until(lambda id=identity: id in f"{self.inspected.active()} {self.inspected.scheduled()}",
                       f"{identity} is with the worker")
            self.broker.command(*command)
        wanted = {task: record for task, record in records(release).items() if task not in self.callbacks(release)}
        self.until(lambda: all(self.is_final(task) for task in wanted), "every record is final")
        return wanted, len(sent)

    def is_final(self, task):
        return (self.record(task) or {}).get("status") in FINAL

    @staticmethod
    def callbacks(release):
        """Ids that the recorded worker chose."""
        return [envelope["headers"]["id"] for scenario, _, _, envelope in elements(release)
                if scenario == "link" and not from_sender({"properties": envelope})]

    def test_03_records_are_those_of_the_recorded_worker_also_to_celery(self):
        old = make_app(self.broker.url(), self.broker.url(database=1))
        self.addCleanup(old.close)
        for release in RELEASES:
            wanted, sent = self.play(release)
            for task, theirs in wanted.items():
                with self.subTest(release=release, task=task):
                    self.assert_same_record(self.record(task), theirs)
                    old.backend.set(RECORD + task, json.dumps(theirs))
                    self.assert_same_to_celery(self.app.AsyncResult(task), old.AsyncResult(task))
            print(f"\n    {release}: {sent} elements pushed, {len(wanted)} records compared")

    def assert_same_record(self, mine, theirs):
        self.assertEqual(set(mine), set(theirs))
        for name in set(theirs) - {"date_done", "traceback", "result", "children", "parent_id"}:
            self.assertEqual(mine[name], theirs[name])
        members = self.members()  # of a chord: the one that was last is the parent of its body
        if theirs.get("parent_id") in members:
            self.assertIn(mine["parent_id"], members)
        else:
            self.assertEqual(mine.get("parent_id"), theirs.get("parent_id"))
        self.assertEqual(len(mine["children"]), len(theirs["children"]))
        if theirs["status"] == "SUCCESS":
            self.assertEqual(mine["result"], theirs["result"])

    @staticmethod
    def members():
        return [envelope["headers"]["id"] for release in RELEASES for scenario, _, _, envelope in elements(release)
                if scenario == "chord" and from_sender({"properties": envelope})]

    def assert_same_to_celery(self, mine, theirs):
        """What Celery's AsyncResult makes of either record."""
        self.assertEqual(mine.state, theirs.state)
        self.assertEqual(type(mine.result), type(theirs.result))
        if isinstance(theirs.result, Exception):
            self.assertEqual(str(mine.result), str(theirs.result))
        else:
            self.assertEqual(mine.result, theirs.result)
        self.assertIsNotNone(mine.date_done.tzinfo)  # as with 5.6; 5.2 leaves the zone out

    def test_03_elements_of_the_recorded_worker_are_run(self):
        run = 0
        for release in RELEASES:
            for _, where, text, envelope in elements(release):
                if not from_sender({"properties": envelope}):
                    task = envelope["headers"]["id"]
                    with self.subTest(release=release, task=task):
                        self.push(where, text, envelope)
                        self.until(lambda id=task: self.is_final(id), "its record is final")
                        self.assert_same_record(self.record(task), records(release)[task])
                        run += 1
        print(f"\n    {run} elements of the recorded worker run")

    def test_03_entries_that_a_dead_worker_held_are_taken_over(self):
        held = [(release, command) for release in RELEASES for _, command in commands(release, "HSET", "add", "retry")]
        tasks = {}
        for release, (_, where, tag, entry) in held:
            envelope = json.loads(entry)[0]
            task = envelope["headers"]["id"]
            if envelope["headers"]["eta"] or task in tasks:
                continue
            tasks[task] = records(release)[task]
            self.broker.command("HSET", where, tag, entry)
            self.broker.command("ZADD", "unacked_index", time.time() - LONG_AGO, tag)
        self.until(lambda: all(self.is_final(task) for task in tasks), "all have run", 30)
        for task, theirs in tasks.items():
            self.assertEqual(self.record(task)["result"], theirs["result"])
        self.until_settled("celery")
        print(f"\n    {len(tasks)} entries of `unacked` taken over")

    def test_03_requests_and_answers(self):
        for release in RELEASES:
            (_, request), (_, answer) = commands(release, "PUBLISH", "ping")[0], commands(release, "LPUSH", "ping")[0]
            key, theirs = answer[1], json.loads(answer[2])
            envelope = json.loads(request[2])
            envelope["headers"]["expires"] = time.time() + 30
            binding = "_kombu.binding.reply.celery.pidbox"
            self.broker.command("SADD", binding, "\x06\x16".join((key.split(".")[0], "", key)))
            self.broker.command("PUBLISH", request[1], json.dumps(envelope))
            self.until(lambda key=key: self.broker.command("LLEN", key), f"an answer in {key}")
            mine = json.loads(self.broker.command("RPOP", key))
            self.assertEqual(set(mine), set(theirs))
            self.assertEqual(set(mine["headers"]), set(theirs["headers"]))
            self.assertEqual(mine["headers"]["ticket"], theirs["headers"]["ticket"])
            self.assertEqual(set(mine["properties"]), set(theirs["properties"]))
            self.assertEqual(mine["properties"]["delivery_info"], theirs["properties"]["delivery_info"])

    def test_03_carillon_reads_the_records_of_celery(self):
        read = 0
        for release in RELEASES:
            for task, theirs in records(release).items():
                with self.subTest(release=release, task=task):
                    self.assert_read(theirs)
                    read += 1
        print(f"\n    {read} records of Celery read by call --wait")

    def assert_read(self, theirs):
        """A caller in C++ waits for a job that nobody takes, and gets this record for it."""
        queue = f"nobody.{theirs['task_id']}"
        with self.worker.running("call", "vapp.add", "[]", "--wait", "--queue", queue,
                                 "--broker", self.broker.url()) as caller:
            element = self.until(lambda: self.broker.command("LINDEX", queue, 0), "the call waits")
            task = json.loads(element)["headers"]["id"]
            record = json.dumps({**theirs, "task_id": task})
            self.broker.command("SETEX", RECORD + task, 60, record)
            self.until(lambda: self.broker.command("PUBLISH", RECORD + task, record) or caller.poll() is not None,
                       "the caller listens, or has found the record")
            out, err = caller.communicate(timeout=SOON)
        if theirs["status"] == "SUCCESS":
            self.assertEqual((caller.returncode, json.loads(out)), (0, theirs["result"]), err)
        else:
            self.assertEqual((caller.returncode, out), (1, ""), err)
            result = theirs["result"]
            words = ["cancelled"] if theirs["status"] == "REVOKED" else [result["exc_type"], *result["exc_message"]]
            for word in words:
                self.assertIn(str(word), err)


if __name__ == "__main__":
    unittest.main()
