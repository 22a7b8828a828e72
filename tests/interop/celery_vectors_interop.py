"""The recorded messages of Celery 5.2.6 and 5.6.3 sent, as they are, to a worker of Carillon that has the same tasks
and the same name; what it publishes is compared with what Celery's worker published. Scenario 3.

Of a recorded message only its moments are moved into the present: eta, expires, and the expiry of control requests."""

import collections
import copy
import datetime
import functools
import json
import time
import unittest

import amqp
from celery.events.state import State
from celery.worker.request import Request
from kombu import Message

from amqp_recorder import AmqpRecorder
from carillon_process import CarillonProcess, default_binary, wait_until
from celery_case import SOON, Rabbitmq
from proj import make_app
from recorded_celery import NODE, RELEASES, by_task, ended, from_sender, in_present, recorded, shape, states_in

NEW_HEADERS = {"replaced_task_nesting", "stamped_headers", "stamps"}  # which 5.2 does not write
# The AMQP types that the headers of a task may have; a task's own headers are texts.
HEADER_TAGS = {"lang": "S", "task": "S", "id": "S", "shadow": "VS", "eta": "VS", "expires": "VS", "group": "VS",
               "group_index": "VI", "retries": "I", "timelimit": "VId", "root_id": "S", "parent_id": "VS",
               "argsrepr": "S", "kwargsrepr": "S", "origin": "S", "ignore_result": "t", "replaced_task_nesting": "I",
               "stamped_headers": "VS", "stamps": "F"}
# Requests by how their answers are compared; those that are not named have equal answers.
REFUSED = {"rate_limit", "time_limit", "add_consumer", "cancel_consumer"}
FREE = {"registered", "revoked", "stats", "clock", "report", "conf", "query_task"}
LISTS = {"active", "reserved", "scheduled", "active_queues"}
EVENTS = {"enable_events", "disable_events"}


class WithRecorder(Rabbitmq):
    """A worker of carillon-interop behind a recorder, and a connection of py-amqp."""

    with_python = with_carillon = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recorder = cls.running.enter_context(AmqpRecorder(cls.broker.port))
        cls.connection = amqp.Connection(f"127.0.0.1:{cls.broker.port}", "guest", "guest")
        cls.connection.connect()
        cls.running.callback(cls.connection.close)
        cls.channel = cls.connection.channel()
        cls.worker = cls.running.enter_context(
            CarillonProcess("-E", "-Q", "celery", "-c", "8", "-n", NODE, "--broker", cls.recorder.url(),
                            command="worker", binary=default_binary().parent / "carillon-interop"))
        cls.inspected = cls.app.control.inspect(destination=[NODE], timeout=0.5, limit=1)
        wait_until(cls.inspected.ping, SOON, f"{NODE} answers")
        cls.heard = collections.defaultdict(list)  # by queue

    @classmethod
    def listen(cls, queue, exchange=None):
        """What comes to this queue from now on is kept in cls.heard."""
        cls.channel.queue_declare(queue, exclusive=True)
        if exchange:
            cls.channel.queue_bind(queue, exchange, queue)
        cls.channel.basic_consume(queue, no_ack=True, callback=cls.heard[queue].append)

    @classmethod
    def publish(cls, message, headers):
        """A recorded message with these headers, else as it is."""
        properties = {name: value for name, value in message["properties"].items() if name != "headers"}
        cls.channel.basic_publish(amqp.Message(message["body"].encode(), application_headers=headers, **properties),
                                  exchange=message["exchange"], routing_key=message["routing_key"])

    @classmethod
    def hear_until(cls, condition, what, seconds):
        def look():
            try:
                cls.connection.drain_events(timeout=0.05)
            except TimeoutError:
                pass
            return condition()
        return wait_until(look, seconds, what)

    @classmethod
    def has(cls, identity):
        return identity in f"{cls.inspected.scheduled()} {cls.inspected.active()}"

    def published(self, exchange):
        return [one for one in self.recorder.published() if one.exchange == exchange]

    def assert_same_properties(self, mine, theirs):
        """Of two messages, the headers left aside."""
        properties = {name: value for name, value in theirs["properties"].items() if name != "headers"}
        self.assertEqual(mine.properties, properties)
        self.assertEqual((mine.exchange, mine.routing_key), (theirs["exchange"], theirs["routing_key"]))


class TasksOverRabbitmq(WithRecorder, unittest.TestCase):

    @classmethod
    @functools.cache
    def play(cls, release):
        """Sends what the client sent in every scenario, and waits for the results that Celery's worker gave. What is
        kept: the results of either by task, and how many tasks were sent."""
        messages = [message for _, message in recorded(release, "task") if from_sender(message)]
        for queue in {message["properties"]["reply_to"] for message in messages}:
            cls.listen(queue)
        for message in messages:
            cls.publish(message, in_present(message["properties"]["headers"]))
        for _, request in recorded(release, "control_request", "revoke", "terminate"):
            identity = json.loads(request["body"])["arguments"]["task_id"]
            wait_until(lambda id=identity: cls.has(id), SOON, f"{identity} is with the worker")
            cls.publish(request, request["properties"].get("headers"))
        theirs = by_task(json.loads(message["body"]) for _, message in recorded(release, "rpc_result"))
        awaited = [identity for identity in theirs if identity not in cls.callbacks(release)]
        cls.hear_until(lambda: all(ended(cls.results()[identity]) for identity in awaited), "every result has come", 20)
        return theirs, cls.results(), len(messages)

    @classmethod
    def results(cls):
        return by_task(json.loads(message.body) for messages in cls.heard.values() for message in messages)

    @staticmethod
    def callbacks(release):
        """Ids that the recorded worker chose, whose results went to that worker."""
        return [message["properties"]["headers"]["id"] for _, message in recorded(release, "task", "link")
                if not from_sender(message)]

    def test_03_results_are_those_of_the_recorded_worker(self):
        for release in RELEASES:
            theirs, ours, sent = self.play(release)
            compared = 0
            for identity in set(theirs) - set(self.callbacks(release)):
                with self.subTest(release=release, task=identity):
                    self.assertEqual(states_in(ours[identity]), states_in(theirs[identity]))
                    for mine, other in zip(ours[identity], theirs[identity]):
                        self.assert_same_result(mine, other)
                        compared += 1
            print(f"\n    {release}: {sent} tasks sent, {compared} results compared")

    def assert_same_result(self, mine, theirs):
        """But for what the task itself says: its progress, its exception before another run, its traceback."""
        self.assertEqual(list(mine), list(theirs))
        if theirs["status"] in ("FAILURE", "RETRY", "REVOKED"):
            said = [dict(one["result"]) for one in (mine, theirs)]
            said[0].pop("carillon_code", None)  # beside Celery's members, for callers in C++
            if theirs["status"] == "RETRY":
                self.assertEqual([one.pop("exc_type") for one in said], ["ConnectionError", "RuntimeError"])
            if theirs["result"]["exc_type"] == "SoftTimeLimitExceeded":
                self.assertEqual([one.pop("exc_message") for one in said], [[1], []])
            self.assertEqual(*said)
        elif theirs["status"] == "SUCCESS":
            self.assertEqual(mine["result"], theirs["result"])
        if theirs["traceback"]:
            self.assertIsInstance(mine["traceback"], str)
        if theirs["status"] == "RETRY":
            self.assertEqual(mine["children"], [])  # where Celery names the job itself
        elif mine["children"] != theirs["children"]:  # whose id the worker chose
            self.assertEqual([[[type(one[0][0]), one[0][1]], one[1]] for one in mine["children"]],
                             [[[str, None], None]])
            self.assertEqual(len(mine["children"]), len(theirs["children"]))

    def test_03_replies_have_the_properties_of_recorded_ones(self):
        for release in RELEASES:
            self.play(release)
            ours = {one.properties["correlation_id"]: one for one in self.published("")
                    if not one.headers and "correlation_id" in one.properties}
            for _, theirs in recorded(release, "rpc_result"):
                identity = theirs["properties"]["correlation_id"]
                if identity not in self.callbacks(release):
                    self.assert_same_properties(ours[identity], theirs)

    def test_03_tasks_that_the_worker_sends_are_those_of_the_recorded_worker(self):
        for release in RELEASES:
            self.play(release)
            ours = collections.defaultdict(list)
            for one in self.published(""):
                if "task" in one.headers:
                    ours[one.headers["id"]].append(one)
            known = {message["properties"]["headers"]["id"] for _, message in recorded(release, "task")}
            fresh = [one for identity, sent in ours.items() if identity not in known for one in sent]
            compared = 0
            for scenario, theirs in recorded(release, "task"):
                if not from_sender(theirs):
                    identity, root = (theirs["properties"]["headers"][name] for name in ("id", "root_id"))
                    matching = ours.get(identity) or [one for one in fresh if one.headers["root_id"] == root]
                    with self.subTest(release=release, scenario=scenario):
                        self.assertTrue(matching, "it was not sent")
                        for one in matching:
                            self.assert_same_task(one, theirs)
                        compared += 1
            print(f"\n    {release}: {compared} tasks of the worker compared")
            self.assertGreaterEqual(compared, 4)

    def test_03_tasks_of_the_recorded_worker_are_run(self):
        for release in RELEASES:
            theirs, _, _ = self.play(release)
            messages = [one for _, one in recorded(release, "task") if not from_sender(one)]
            for queue in {one["properties"]["reply_to"] for one in messages} - set(self.heard):
                self.listen(queue)
            before = {identity: len(replies) for identity, replies in self.results().items()}
            for message in messages:
                self.publish(message, in_present(message["properties"]["headers"]))
            for message in messages:
                identity = message["properties"]["headers"]["id"]
                with self.subTest(release=release, task=identity):
                    self.hear_until(lambda id=identity: len(self.results()[id]) > before.get(id, 0),
                                    "its result has come", SOON)
                    self.assert_same_result(self.results()[identity][-1], theirs[identity][-1])
            print(f"\n    {release}: {len(messages)} tasks of the recorded worker run")

    def assert_same_task(self, mine, theirs):
        headers, chosen = theirs["properties"]["headers"], {"origin"}
        if not headers["retries"]:
            self.assertEqual(mine.headers["lang"], "cpp")
            chosen.add("lang")
        if mine.headers["id"] != headers["id"]:  # the worker chose it, and who hears of its result
            chosen.add("id")
            theirs = copy.deepcopy(theirs)
            theirs["properties"]["correlation_id"] = mine.headers["id"]
            theirs["properties"]["reply_to"] = mine.properties["reply_to"]
        if headers["eta"]:
            chosen.add("eta")
            self.assertLess(abs(datetime.datetime.fromisoformat(mine.headers["eta"]).timestamp() - time.time()), 60)
        self.assert_same_properties(mine, theirs)
        self.assertLessEqual(set(mine.headers) ^ set(headers), NEW_HEADERS)
        self.assertEqual({name: mine.headers[name] for name in headers if name not in chosen},
                         {name: value for name, value in headers.items() if name not in chosen})
        self.assertEqual(json.loads(mine.body), json.loads(theirs["body"]))
        self.assert_right_tags(mine)

    def test_03_a_call_of_carillon_has_the_fields_and_types_of_a_call_of_celery(self):
        through = make_app(self.recorder.url(), "rpc://")
        self.addCleanup(through.close)
        through.signature("vapp.add", args=(2, 3)).apply_async(countdown=1, expires=60, priority=3)
        called = self.worker.run("call", "vapp.add", "[2,3]", "--countdown", "1", "--expires", "60", "--priority", "3",
                                 "--broker", self.recorder.url())
        self.assertEqual(called.returncode, 0, called.stderr)
        sent = [one for one in self.published("") if "task" in one.headers and one.headers["argsrepr"] == "(2, 3)"]
        theirs = next(one for one in sent if one.headers["lang"] == "py")
        mine = next(one for one in sent if one.headers["id"] == called.stdout.strip())
        self.assertEqual({name: tag for name, tag in mine.tags.items() if name not in NEW_HEADERS}, theirs.tags)
        self.assertEqual(set(mine.headers) - set(theirs.headers), NEW_HEADERS)
        self.assert_right_tags(mine)
        # Python asks RabbitMQ to drop what has expired; here the worker does, and tells of it.
        self.assertEqual(set(theirs.properties) - set(mine.properties), {"expiration"})
        own = {"correlation_id", "reply_to", "expiration"}
        self.assertEqual({name: value for name, value in mine.properties.items() if name not in own},
                         {name: value for name, value in theirs.properties.items() if name not in own})
        own = {"id", "root_id", "origin", "lang", "eta", "expires"}
        self.assertEqual({name: value for name, value in mine.headers.items() if name not in own | NEW_HEADERS},
                         {name: value for name, value in theirs.headers.items() if name not in own})
        for name in ("eta", "expires"):
            apart = [datetime.datetime.fromisoformat(one.headers[name]) for one in (mine, theirs)]
            self.assertLess(abs((apart[0] - apart[1]).total_seconds()), SOON)
        self.assertEqual(json.loads(mine.body), json.loads(theirs.body))

    def assert_right_tags(self, message):
        for name, tag in message.tags.items():
            for one in tag if isinstance(tag, list) else ["F" if isinstance(tag, dict) else tag]:
                self.assertIn(one, HEADER_TAGS[name], f"{name}: {message.tags}")

    def test_03_celery_reads_the_tasks_that_the_worker_sent(self):
        read = 0
        for release in RELEASES:
            self.play(release)
        for one in self.published(""):
            if "task" in one.headers:
                message = Message(one.body, headers=one.headers, properties=one.properties,
                                  delivery_info={"exchange": one.exchange, "routing_key": one.routing_key},
                                  content_type=one.properties["content_type"], accept={"application/json"},
                                  content_encoding=one.properties["content_encoding"])
                request = Request(message, app=self.app, task=self.app.Task(), hostname="other@host")
                eta = request.eta and request.eta.isoformat()
                self.assertEqual((request.id, request.root_id, request.parent_id, eta),
                                 tuple(one.headers[name] for name in ("id", "root_id", "parent_id", "eta")))
                args, kwargs, embed = message.decode()
                self.assertEqual((type(args), kwargs, set(embed)),
                                 (list, {}, {"callbacks", "errbacks", "chain", "chord"}))
                read += 1
        print(f"\n    {read} tasks read by Celery")
        self.assertGreaterEqual(read, 8)

    def test_03_events_have_the_fields_of_recorded_ones_and_lead_celery_to_the_same_states(self):
        for release in RELEASES:
            events = [json.loads(one["body"]) for _, one in recorded(release, "event")]
            theirs_by_type, theirs = self.states_by_events(events)
            self.play(release)
            known = {task: state for task, state in theirs.items() if task not in self.callbacks(release)}
            self.until(lambda known=known: known.items() <= self.our_states()[1].items(), f"the states are {known}")
            ours_by_type, _ = self.our_states()
            self.assertLessEqual(set(theirs_by_type) - set(ours_by_type), {"worker-offline"})
            for kind, fields in ours_by_type.items():
                with self.subTest(release=release, kind=kind):
                    self.assertTrue(fields <= theirs_by_type[kind], f"{fields} {theirs_by_type[kind]}")
            print(f"\n    {release}: {len(ours_by_type)} types of events and {len(known)} states of tasks compared")
        for one in self.published("celeryev"):
            self.assertEqual(set(one.headers), {"hostname"})

    def our_states(self):
        return self.states_by_events(json.loads(one.body) for one in self.published("celeryev"))

    @staticmethod
    def states_by_events(bodies):
        """The fields of each type of event, and the states of tasks as Celery's monitors derive them."""
        monitor, fields = State(), collections.defaultdict(set)
        for body in bodies:
            for event in body if isinstance(body, list) else [body]:
                fields[event["type"]].add(tuple(sorted(event)))
                monitor.event({"local_received": time.time(), **event})
        return fields, {identity: task.state for identity, task in monitor.tasks.items()}



class ControlOverRabbitmq(WithRecorder, unittest.TestCase):

    def test_03_recorded_requests_get_the_recorded_answers(self):
        for release in RELEASES:
            theirs = {one["properties"]["headers"]["ticket"]: one for _, one in recorded(release, "control_reply")}
            requests = [one for _, one in recorded(release, "control_request", "ping", "inspect", "control")]
            keys = {json.loads(one["body"])["reply_to"]["routing_key"] for one in requests if "reply_to" in one["body"]}
            for key in keys:
                self.listen(key, exchange="reply.celery.pidbox")
            self.have_work(release)
            for request in requests:
                self.publish(request, {**request["properties"].get("headers", {}), "expires": time.time() + 30})
            self.hear_until(lambda: len(self.answers(keys)) >= len(theirs), "every answer has come", SOON)
            ours, refused = self.answers(keys), set()
            self.assertEqual(set(ours), set(theirs))
            for asked in (json.loads(request["body"]) for request in requests):
                if asked.get("ticket") in theirs:
                    with self.subTest(release=release, asked=asked["method"]):
                        refused |= self.assert_same_answer(asked, ours[asked["ticket"]], theirs[asked["ticket"]])
            print(f"\n    {release}: {len(requests)} requests, {len(ours)} answers compared; refused, unlike there: "
                  f"{', '.join(sorted(refused)) or 'none'}")

    def test_03_the_recorded_hello_and_shutdown(self):
        for release in RELEASES:
            _, hello = recorded(release, "control_request", "startup")[0]
            self.publish(hello, {**hello["properties"]["headers"], "expires": time.time() + 30})
        self.assertEqual(self.inspected.ping(), {NODE: {"ok": "pong"}})
        for release in RELEASES:
            _, shutdown = recorded(release, "control_request", "shutdown")[0]
            self.publish(shutdown, {**shutdown["properties"]["headers"], "expires": time.time() + 30})
            self.assertEqual(self.worker.child.wait(timeout=20), 0, self.worker.log_tail())
            self.worker.start()
            wait_until(self.inspected.ping, SOON, f"{NODE} answers")

    def have_work(self, release):
        """The two jobs that the recorded worker was asked about."""
        messages = [one for _, one in recorded(release, "task", "inspect")]
        for message in messages:
            self.publish(message, in_present(message["properties"]["headers"]))
        for message in messages:
            identity = message["properties"]["headers"]["id"]
            self.until(lambda id=identity: self.has(id), f"{identity} is with the worker")

    def assert_same_answer(self, asked, mine, theirs):
        """What is refused with a reason is returned: {method}."""
        self.assertEqual(set(mine.headers), set(theirs["properties"]["headers"]))
        self.assertEqual((mine.properties["content_type"], mine.properties["content_encoding"]),
                         ("application/json", "utf-8"))
        ours, other = (json.loads(body)[NODE] for body in (mine.body, theirs["body"]))
        if asked["method"] in REFUSED and "error" in ours:
            self.assertGreater(len(ours["error"]), 20)
            return {asked["method"]}
        if asked["method"] in FREE:  # figures, names and texts of this worker
            self.assertIs(type(ours), type(other))
        elif asked["method"] in LISTS:
            self.assertEqual((type(ours), shape(ours[:1])), (list, shape(other[:1] or ours[:1])))
        elif asked["method"] in EVENTS:
            self.assertTrue(ours["ok"].startswith("task events "))
        else:
            self.assertEqual(json.dumps(ours), json.dumps(other).replace("{'", "").replace("'}", ""))
        return set()

    def answers(self, keys):
        return {one.headers["ticket"]: one for key in keys for one in self.heard[key]}


if __name__ == "__main__":
    unittest.main()
