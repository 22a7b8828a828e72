"""redis_process.py against the real redis-server."""

import os
import pathlib
import unittest

from redis_process import SERVER, RedisError, RedisProcess


@unittest.skipUnless(os.access(SERVER, os.X_OK), f"{SERVER} is not installed")
class Helper(unittest.TestCase):

    def test_it_answers_when_start_returns_and_is_gone_afterwards(self):
        with RedisProcess() as redis:
            pid, folder = redis.pid, redis.folder
            self.assertEqual(redis.command("ECHO", b"\x00\xff\r\n"), b"\x00\xff\r\n")
            self.assertEqual(redis.command("ZADD", "k", 1, "a"), 1)
            self.assertEqual(redis.command("ZRANGE", "k", 0, -1), [b"a"])
            self.assertIsNone(redis.command("GET", "nothing"))
            self.assertRegex(redis.info()["redis_version"], r"^\d+\.")
        self.assertFalse(folder.exists())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    def test_it_comes_back_empty_at_the_same_place(self):
        for unix_socket in (False, True):
            for how in ("stop", "kill"):
                with self.subTest(unix_socket=unix_socket, how=how), RedisProcess(unix_socket=unix_socket) as redis:
                    url, pid = redis.url(), redis.pid
                    redis.command("SET", "kept", "no")
                    redis.restart(how)
                    self.assertEqual(redis.url(), url)
                    self.assertNotEqual(redis.pid, pid)
                    self.assertIsNone(redis.command("GET", "kept"))

    def test_a_paused_server_is_silent_until_it_is_resumed(self):
        with RedisProcess() as redis, redis.connect(seconds=0.3) as connection:
            redis.pause()
            with self.assertRaises(TimeoutError):
                connection.command("PING")
            redis.resume()
            self.assertEqual(redis.command("PING"), b"PONG")

    def test_passwords_and_databases(self):
        with RedisProcess("--requirepass", "s3cret", password="s3cret") as redis:
            self.assertEqual(redis.url(), f"redis://:s3cret@127.0.0.1:{redis.port}/0")
            redis.command("SET", "a", "1", database=3)
            self.assertEqual(redis.command("GET", "a", database=3), b"1")
            self.assertIsNone(redis.command("GET", "a"))
            redis.password = "wrong"
            with self.assertRaisesRegex(RedisError, "WRONGPASS"):
                redis.command("PING")

    def test_connections_can_be_cut(self):
        with RedisProcess() as redis, redis.connect() as connection:
            self.assertEqual(connection.command("PING"), b"PONG")
            self.assertEqual(redis.cut_connections(), 1)
            with self.assertRaises(ConnectionError):
                connection.command("PING")

    def test_a_server_that_cannot_start_is_named_with_its_log(self):
        with self.assertRaisesRegex(AssertionError, "(?s)redis-server ended.*no-such-option"):
            with RedisProcess("--no-such-option", "1"):
                pass

    def test_sentinel(self):
        with RedisProcess() as master:
            watch = f"sentinel monitor carillon 127.0.0.1 {master.port} 1\n"
            with RedisProcess(sentinel=watch) as sentinel:
                named = sentinel.command("SENTINEL", "get-master-addr-by-name", "carillon")
                self.assertEqual(named, [b"127.0.0.1", str(master.port).encode()])

    def test_urls(self):
        redis = RedisProcess(unix_socket=True, username="app", password="pw")
        self.addCleanup(redis.close)
        self.assertEqual(redis.url("redis+pubsub", 2),
                         f"unix+pubsub://app:pw@{pathlib.Path(redis.folder) / 'redis.sock'}?db=2")


if __name__ == "__main__":
    unittest.main()
