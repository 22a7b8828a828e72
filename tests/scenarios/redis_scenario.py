"""Redis as the channel layer of the real program: events between processes, outages, background consumers, check."""

import contextlib
import json
import os
import re
import socketserver
import threading
import time
import unittest

from carillon_process import ROOT, CarillonProcess, default_binary, free_port, wait_until
from raw_websocket import RawWebSocket
from redis_process import SERVER, RedisProcess
from report_client import FINAL, Watcher, start_demo

SCHEMES = ("redis", "redis+pubsub")
WORD_COUNT = default_binary().parent / "example_word_count"


def on_layer(url, *options, **more):
    """A process whose commands use this layer too."""
    return CarillonProcess(*options, environment={"CARILLON_CHANNEL_LAYER": url}, **more)


def progress(percent):
    return json.dumps({"type": "progress_update", "progress": percent, "status": "in_progress", "message": "by hand"})


def layer_state(server):
    """(status, what /readyz says of the channel layer)."""
    status, value = server.get_json("/readyz")
    return status, value["checks"]["channel_layer"]


@unittest.skipUnless(os.access(SERVER, os.X_OK), f"{SERVER} is not installed")
class RedisCase(unittest.TestCase):

    def setUp(self):
        self.parts = contextlib.ExitStack()
        self.addCleanup(self.parts.close)

    def redis(self, *options, **more):
        return self.parts.enter_context(RedisProcess(*options, **more))

    def started(self, process):
        return self.parts.enter_context(process)


class EventsThroughRedis(RedisCase):

    def test_a_worker_process_and_group_send_reach_a_page(self):
        secret = {"password": "s3cret"}
        for options, more, scheme in (((), {}, "redis"), ((), {"unix_socket": True}, "redis"),
                                      (("--requirepass", "s3cret"), secret, "redis"),
                                      (("--requirepass", "s3cret"), secret, "redis+pubsub")):
            with self.subTest(scheme=scheme, **more), contextlib.ExitStack() as parts:
                redis = parts.enter_context(RedisProcess(*options, **more))
                server = parts.enter_context(on_layer(redis.url(scheme), "--workers", "0"))
                self.assertFalse((server.data_dir / "events.sock").exists(), "the relay runs beside Redis")
                job = start_demo(server, 4, 0.1)
                page = parts.enter_context(Watcher(server, job))
                page.frame()
                worker = parts.enter_context(on_layer(redis.url(scheme), "-c", "1", command="worker",
                                                      beside=server))
                frames = page.frames_until(lambda frame: frame["status"] in FINAL, 30)
                self.assertEqual((frames[-1]["status"], frames[-1]["progress"]), ("completed", 100))
                sent = server.run("group-send", f"report_{job}", progress(7))
                self.assertEqual((sent.returncode, sent.stdout), (0, "1 queue took the event\n"), sent.stderr)
                self.assertEqual(page.frame()["progress"], 7)
                page.close()
                self.assertEqual((worker.stop(), server.stop()), (0, 0))
                self.assertNotIn("s3cret", server.log() + worker.log())
                self.assertEqual(redis.command("KEYS", "*"), [], "a server that stopped leaves nothing behind")

    def test_two_servers_share_their_groups(self):
        for scheme in SCHEMES:
            with self.subTest(scheme=scheme):
                self.share_a_group(self.redis().url(scheme))

    def share_a_group(self, url):
        one = self.started(on_layer(url, "--bench"))
        two = self.started(on_layer(url, "--bench"))
        pages = [self.started(RawWebSocket(("127.0.0.1", server.port), "/ws/bench/shared/", origin=server.url()[:-1]))
                 for server in (one, two)]
        for number, server in enumerate((one, two)):
            self.assertEqual(server.request("POST", "/bench/shared/", body=f"text {number}")[0], 200)
            for page in pages:
                kind, text = page.event(10)[:2]
                self.assertEqual((kind, json.loads(text)["text"]), ("message", f"text {number}"))
        sent = one.run("group-send", "bench_shared", json.dumps({"type": "bench.message", "text": "to both"}))
        self.assertEqual(sent.stdout, "2 queues took the event\n", sent.stderr)
        for page in pages:
            self.assertEqual(json.loads(page.event(10)[1])["text"], "to both")

    def test_group_send_says_when_nobody_is_there_and_what_is_wrong_with_an_event(self):
        redis = self.redis()
        command = on_layer(redis.url())
        self.parts.callback(command.close)
        sent = command.run("group-send", "empty", '{"type": "a.b"}')
        self.assertEqual((sent.returncode, sent.stdout), (0, "nobody is in the group empty\n"), sent.stderr)
        for group, event in (("two words", '{"type": "a.b"}'), ("g", '{"type": "websocket.receive"}'), ("g", "[]")):
            with self.subTest(group=group, event=event):
                sent = command.run("group-send", group, event)
                self.assertEqual((sent.returncode, sent.stdout), (1, ""))
                self.assertIn("error: ", sent.stderr)

    def test_group_send_without_redis_fails_in_time_with_one_clear_sentence(self):
        url = f"redis://:s3cret@127.0.0.1:{free_port()}"
        command = on_layer(url)
        self.parts.callback(command.close)
        begin = time.monotonic()
        sent = command.run("group-send", "g", '{"type": "a.b"}', "--channel-send-timeout", "1")
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual((sent.returncode, sent.stdout), (1, ""))
        self.assertRegex(sent.stderr, r"^error: the channel layer cannot be reached: redis://127\.0\.0\.1:\d+/0: .*; "
                                      r"is it running\?\n$")
        self.assertNotIn("s3cret", sent.stderr)


class Outages(RedisCase):

    def test_readiness_falls_and_returns_while_sockets_stay_open(self):
        for scheme, how in ((scheme, how) for scheme in SCHEMES for how in ("stop", "kill")):
            with self.subTest(scheme=scheme, how=how), contextlib.ExitStack() as parts:
                redis = parts.enter_context(RedisProcess())
                server = parts.enter_context(on_layer(redis.url(scheme), "--bench", "--channel-send-timeout", "1"))
                page = parts.enter_context(RawWebSocket(("127.0.0.1", server.port), "/ws/bench/room/",
                                                        origin=server.url()[:-1]))
                self.assertEqual(layer_state(server), (200, {"ok": True}))
                getattr(redis, how)()
                wait_until(lambda: layer_state(server)[0] == 503, 10, "/readyz answers 503")
                self.assertFalse(layer_state(server)[1]["ok"])
                self.assertRegex(layer_state(server)[1]["message"], rf"127\.0\.0\.1:{redis.port}")
                self.assertEqual(server.request("GET", "/healthz")[0], 200)
                self.assertEqual(server.request("GET", "/")[0], 200)
                redis.start()
                wait_until(server.is_ready, 10, "/readyz answers 200 again")
                sent = server.run("group-send", "bench_room", '{"type": "bench.message", "text": "back"}')
                self.assertEqual(sent.stdout, "1 queue took the event\n", sent.stderr)
                self.assertEqual(json.loads(page.event(10)[1])["text"], "back")
                counted = server.request("GET", "/metrics")[2].decode()
                self.assertRegex(counted, r"(?m)^carillon_layer_gaps_total 1$")
                self.assertRegex(counted, r"(?m)^carillon_layer_connected 1$")
                self.assertRegex(counted, r"(?m)^carillon_redis_connection_losses_total [1-9]")

    def test_a_server_starts_without_redis_and_is_ready_when_it_comes(self):
        redis = RedisProcess()
        self.parts.callback(redis.close)
        server = on_layer(redis.url())
        self.parts.callback(server.close)
        server.start(wait=False)
        wait_until(lambda: self.answered(server) == 503, 20, "/readyz answers 503")
        redis.start()
        server.wait_ready()

    def answered(self, server):
        try:
            return server.request("GET", "/readyz")[0]
        except OSError:
            return None

    def test_a_server_stops_cleanly_while_redis_is_silent(self):
        redis = self.redis()
        server = self.started(on_layer(redis.url()))
        redis.pause()
        begin = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - begin, 10)


    def test_operations_tells_of_every_counter_and_of_no_other(self):
        named = set()
        for line in (ROOT / "docs/operations.md").read_text(encoding="utf-8").splitlines():
            named.update(re.findall(r"carillon_(?:layer|redis(?!_broker))_\w+", line))
            named.update(re.findall(r'\{reason="\w+"\}', line))
        exported = set()
        for scheme in SCHEMES:
            server = self.started(on_layer(self.redis().url(scheme)))
            text = server.request("GET", "/metrics")[2].decode()
            exported.update(re.findall(r"(?m)^(carillon_(?:layer|redis)_\w+)", text))
            exported.update(re.findall(r'(?m)^carillon_layer_\w+(\{.*\})', text))
        self.assertEqual(named, exported)


class BackgroundConsumers(RedisCase):

    def count_words(self, server, texts):
        """One page asks for each text and gets an answer for each."""
        with RawWebSocket(("127.0.0.1", server.port), "/ws/words/", origin=server.url()[:-1]) as page:
            for text in texts:
                page.send_text(json.dumps({"text": text}))
            return sorted(json.loads(page.event(15)[1])["words"] for _ in texts)

    def test_worker_processes_share_a_channel(self):
        redis = self.redis()
        server = self.started(on_layer(redis.url(), "--workers", "0", binary=WORD_COUNT, demo=False))
        workers = [self.started(on_layer(redis.url(), "--channels", "texts", "-c", "2", command="worker",
                                         beside=server, binary=WORD_COUNT)) for _ in range(2)]
        for worker in workers:
            worker.wait_for_log("worker ready")
        self.assertEqual(self.count_words(server, ["word " * n for n in range(50)]), list(range(50)))
        self.assertEqual([worker.stop() for worker in workers], [0, 0])
        self.assertNotIn("celery@", workers[0].log(), "job threads run although only channels were asked for")

    def test_a_worker_runs_jobs_too_when_queues_are_named(self):
        redis = self.redis()
        server = self.started(on_layer(redis.url(), "--workers", "0", binary=WORD_COUNT, demo=False))
        worker = self.started(on_layer(redis.url(), "--channels", "texts", "-Q", "celery", command="worker",
                                       beside=server, binary=WORD_COUNT))
        worker.wait_for_log("worker ready")
        self.assertIn("celery@", worker.log())
        self.assertIn("pong", server.run("inspect", "ping").stdout)
        self.assertEqual(self.count_words(server, ["a b c"]), [3])

    def test_serve_runs_them_itself_with_either_layer(self):
        for url in ("memory:", *map(self.redis().url, SCHEMES)):
            with self.subTest(url=url), on_layer(url, "--workers", "1", binary=WORD_COUNT, demo=False) as server:
                self.assertEqual(self.count_words(server, ["", "a", "a b"]), [0, 1, 2])
                # The last answer may arrive before its handler has returned.
                wait_until(lambda s=server: 'carillon_background_handled_total{channel="texts"} 3'
                           in s.request("GET", "/metrics")[2].decode(), 5, "three events were handled")
                self.assertEqual(server.stop(), 0)

    def test_wrong_channels_and_the_memory_layer_are_told(self):
        redis = self.redis()
        command = on_layer(redis.url(), binary=WORD_COUNT)
        self.parts.callback(command.close)
        unknown = command.run("worker", "--channels", "texts,pictures")
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("'pictures'", unknown.stderr)
        self.assertIn("known: texts", unknown.stderr)
        none = on_layer(redis.url())
        self.parts.callback(none.close)
        self.assertIn("this site has none", none.run("worker", "--channels", "texts").stderr)
        memory = command.run("worker", "--channels", "texts", "--channel-layer", "memory:")
        self.assertEqual(memory.returncode, 1)
        self.assertIn("serve, which runs their background consumers itself", memory.stderr)


class FakeRedis:
    """Answers as a server of another version, role or time would."""

    def __init__(self, info, clock_offset=0):
        outer = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self):
                while words := outer.read_command(self.rfile):
                    self.wfile.write(outer.reply(words))

        self.info, self.clock_offset = info, clock_offset
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        self.server.daemon_threads = True
        self.url = f"redis://127.0.0.1:{self.server.server_address[1]}/0"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def read_command(stream):
        head = stream.readline()
        if not head:
            return None
        return [stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]

    def reply(self, words):
        name = words[0].upper()
        if name == b"TIME":
            seconds = str(int(time.time()) + self.clock_offset).encode()
            return b"*2\r\n$%d\r\n%s\r\n$1\r\n0\r\n" % (len(seconds), seconds)
        if name == b"INFO":
            text = "".join(f"{key}:{value}\r\n" for key, value in self.info.items()).encode()
            text = b"# Server\r\n" + text
            return b"$%d\r\n%s\r\n" % (len(text), text)
        return {b"PING": b"+PONG\r\n", b"ZPOPMIN": b"*0\r\n", b"ZRANGE": b"*0\r\n", b"BZPOPMIN": b"*-1\r\n",
                b"SCRIPT": b"*1\r\n:0\r\n", b"SELECT": b"+OK\r\n", b"CLIENT": b"+OK\r\n"}.get(name, b":0\r\n")


class Check(RedisCase):

    def check(self, url, *options):
        """(exit code, output); what a URL keeps secret must not be in it."""
        command = CarillonProcess()
        self.parts.callback(command.close)
        ran = command.run("check", "--channel-layer", url, "--bind", f"127.0.0.1:{free_port()}", *options)
        self.assertNotIn("s3cret", ran.stdout + ran.stderr)
        return ran.returncode, ran.stdout

    def assert_wrong(self, checked, pattern):
        code, output = checked
        self.assertEqual(code, 1, output)
        self.assertRegex(output, rf"(?m)^  WRONG channel layer redis://\S+: {pattern}")

    def test_good_servers_are_named_with_their_version(self):
        redis = self.redis("--requirepass", "s3cret", password="s3cret")
        other = self.redis()
        code, output = self.check(f"{redis.url()},{other.url()}", "--channel-key", "s3cret")
        self.assertEqual(code, 0, output)
        version = re.escape(redis.info()["redis_version"])
        for one in (redis, other):
            self.assertRegex(output, rf"(?m)^  ok    channel layer redis://127\.0\.0\.1:{one.port}/0 "
                                     rf"\(Redis {version}\)$")
        self.assertIn(f"redis://:***@127.0.0.1:{redis.port}/0,redis://127.0.0.1:{other.port}/0", output)
        self.assertRegex(output, r"(?m)^  channel-key +\*{8}  \(--channel-key\)$")
        self.assertEqual([one.command("DBSIZE") for one in (redis, other)], [0, 0], "check left something behind")

    def test_memory_needs_nothing(self):
        code, output = self.check("memory:")
        self.assertEqual(code, 0, output)
        self.assertIn("  ok    channel layer memory:\n", output)

    def test_a_wrong_password_is_told(self):
        redis = self.redis("--requirepass", "right", password="right")
        for url in (f"redis://:s3cret@127.0.0.1:{redis.port}", f"redis://nobody:s3cret@127.0.0.1:{redis.port}"):
            self.assert_wrong(self.check(url), r".*refuses.*; mend user and password in channel-layer$")
        self.assert_wrong(self.check(f"redis://127.0.0.1:{redis.port}"), r".*wants a password.*; mend user")

    def test_a_server_that_is_away_or_silent_is_told(self):
        self.assert_wrong(self.check(f"redis://127.0.0.1:{free_port()}"), r"cannot be reached: .*; is it running")
        redis = self.redis()
        redis.pause()
        good = self.redis()
        code, output = self.check(f"{redis.url()},{good.url()}")
        self.assert_wrong((code, output), r"cannot be reached: ")
        self.assertIn(f"ok    channel layer redis://127.0.0.1:{good.port}/0", output)

    def test_missing_rights_are_told_with_what_to_grant(self):
        redis = self.redis()
        redis.command("ACL", "SETUSER", "app", "on", ">s3cret", "~other*", "+@all")
        redis.username, redis.password = "app", "s3cret"
        self.assert_wrong(self.check(redis.url()),
                          r"its user may not use EVAL, .* on asgi\*; .*ACL SETUSER NAME ~asgi\*")
        redis.username = redis.password = None
        redis.command("ACL", "SETUSER", "app", "reset", "on", ">s3cret", "~asgi*", "+@all", "-bzpopmin")
        redis.username, redis.password = "app", "s3cret"
        self.assert_wrong(self.check(redis.url()), r"its user may not use BZPOPMIN on asgi\*; ")
        redis.username = redis.password = None
        redis.command("ACL", "SETUSER", "app", "reset", "on", ">s3cret", "~asgi*", "&asgi*", "+@sortedset",
                      "+@scripting", "+expire", "+del", "+ping")
        redis.username, redis.password = "app", "s3cret"
        code, output = self.check(redis.url())
        self.assertEqual(code, 0, output)
        self.assertIn("INFO is refused", output)

    def test_the_rights_that_the_guide_grants_are_enough(self):
        guide = (ROOT / "docs/guide/redis.md").read_text(encoding="utf-8")
        granted = re.search(r"(?m)^ACL SETUSER carillon .*$", guide).group(0)
        redis = self.redis()
        redis.command(*granted.split())
        redis.username, redis.password = "carillon", "secret"
        for scheme in ("redis", "redis+pubsub"):
            code, output = self.check(redis.url(scheme))
            self.assertEqual(code, 0, output)
            self.assertNotIn("  warn  ", output)

    def test_pubsub_needs_only_the_right_to_publish(self):
        redis = self.redis()
        redis.command("ACL", "SETUSER", "app", "on", ">s3cret", "resetchannels", "&asgi*", "+publish", "+ping")
        url = f"redis+pubsub://app:s3cret@127.0.0.1:{redis.port}"
        code, output = self.check(url)
        self.assertEqual(code, 0, output)
        self.assert_wrong(self.check(url, "--channel-prefix", "shop"), r"its user may not use PUBLISH on shop\*; ")

    def test_replicas_policies_old_versions_and_clocks_are_told(self):
        policy = self.redis("--maxmemory-policy", "allkeys-lru")
        code, output = self.check(policy.url())
        self.assertEqual(code, 0, output)
        self.assertRegex(output, r"(?m)^  warn  channel layer redis://\S+: maxmemory-policy is allkeys-lru: "
                                 r".*noeviction$")
        replica = self.redis("--replicaof", "127.0.0.1", str(policy.port))
        self.assert_wrong(self.check(replica.url()), r"it is a replica")
        with FakeRedis({"redis_version": "4.0.14", "role": "master"}) as old:
            self.assert_wrong(self.check(old.url), r"it is version 4\.0\.14; version 5 or newer is needed$")
        with FakeRedis({"redis_version": "5.0.0", "role": "master"}) as good:
            self.assertEqual(self.check(good.url)[0], 0)
        for offset, way in ((-60, "behind"), (60, "ahead of")):
            with FakeRedis({"redis_version": "7.0.0", "role": "master"}, offset) as wrong:
                self.assert_wrong(self.check(wrong.url), rf"its clock is (59|60|61)\.\d s {way} ours")


if __name__ == "__main__":
    unittest.main()
