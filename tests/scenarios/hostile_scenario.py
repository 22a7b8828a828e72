"""Hostile clients: each gets the right code, memory stays bounded, and the next honest client is served at once."""

import os
import resource
import socket
import struct
import time
import unittest
import zlib

from carillon_process import wait_until
from judge_case import ECHO, JudgeCase, known_options
from raw_http import RawHttp, exchange, request
from raw_websocket import BINARY, CONTINUATION, PING, TEXT, HandshakeRefused, frame

MIB = 1024 * 1024
ECHO_BYTES_MAX = 16 * MIB
BODY_BYTES_MAX = 2 * MIB
HEAD_BYTES_MAX = 32 * 1024
IDLE_SOCKETS = 10000
FOREIGN = "http://evil.example"
GUARDED = "/ws/reports/00000000-0000-4000-8000-000000000000/"  # unlike the routes of --bench, it looks at Origin
HANDSHAKE_SECONDS, PING_SECONDS, PING_ANSWER_SECONDS = 10, 20, 30


class HostileFrames(JudgeCase):
    """Frames and messages that no honest client sends."""

    def test_unmasked_frame_is_1002(self):
        with self.websocket() as client:
            client.send(frame(TEXT, b"bare", mask=False))
            self.assert_closes(client, 1002)

    def test_announced_2_to_the_40_is_1009_before_any_of_it_came(self):
        before = self.server.memory_bytes()
        with self.websocket() as client:
            client.send(frame(BINARY, b"", announced=1 << 40))
            self.assert_closes(client, 1009)
        self.assertLess(self.memory_growth(before), 16 * MIB)

    def test_announced_length_with_the_top_bit_is_1002(self):
        with self.websocket() as client:
            client.send(struct.pack("!BBQ", 0x82, 0xFF, 1 << 63) + os.urandom(4))
            got = client.event(5)
            self.assertIn(got[:2], (("close", 1002), ("close", 1009)))

    def test_message_above_the_limit_in_fragments_is_1009(self):
        with self.websocket() as client:
            piece = b"x" * MIB
            client.send(frame(BINARY, piece, fin=False))
            for _ in range(ECHO_BYTES_MAX // MIB):
                client.send(frame(CONTINUATION, piece, fin=False))
            self.assert_closes(client, 1009)

    def test_message_of_exactly_the_limit_is_echoed(self):
        with self.websocket(timeout=30) as client:
            payload = os.urandom(MIB) * (ECHO_BYTES_MAX // MIB)
            client.send(frame(BINARY, payload))
            self.assertEqual(client.event(30), ("message", payload, True))

    def test_compressed_bombs_are_1009_in_bounded_memory(self):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = packer.compress(bytes(512 * MIB)) + packer.flush(zlib.Z_SYNC_FLUSH)
        before = self.server.memory_bytes()
        clients = []
        for _ in range(8):
            client = self.websocket(offer="permessage-deflate; client_max_window_bits")
            self.assertIn("permessage-deflate", client.answer.get("sec-websocket-extensions", ""))
            clients.append(client)
            client.send(frame(BINARY, bomb[:-4], rsv=4))
        for client in clients:
            self.assert_closes(client, 1009, seconds=20)
            client.close()
        self.assertLess(self.server.memory_peak_bytes() - before, 8 * ECHO_BYTES_MAX + 64 * MIB)

    def test_compressed_rubbish_is_1007_or_1002(self):
        with self.websocket(offer="permessage-deflate") as client:
            client.send(frame(TEXT, b"\xff\xff\xff\xff rubbish", rsv=4))
            got = client.event(5)
            self.assertIn(got and got[:2], (("close", 1007), ("close", 1002)))

    def test_message_of_200_000_fragments_is_echoed(self):
        with self.websocket(timeout=30) as client:
            before = self.server.memory_bytes()
            middle = frame(CONTINUATION, b"x", fin=False) + frame(CONTINUATION, b"", fin=False)
            client.send(frame(TEXT, b"", fin=False) + middle * 100000 + frame(CONTINUATION, b"."))
            self.assertEqual(client.event(30), ("message", b"x" * 100000 + b".", False))
            self.assertLess(self.memory_growth(before), 32 * MIB)


class HostileFloods(JudgeCase):
    """More than anybody reads."""

    def assert_flood_is_bounded(self, piece, count, path=ECHO):
        before = self.server.memory_bytes()
        with self.websocket(path) as client:
            self.flood(client, piece * count, seconds=3)
            self.assert_honest_client_is_served()
            self.assertLess(self.server.memory_peak_bytes() - before, 64 * MIB)

    def test_ping_flood_without_reading(self):
        self.assert_flood_is_bounded(frame(PING, b"p" * 125), 300000)

    def test_flood_of_one_octet_messages_without_reading(self):
        self.assert_flood_is_bounded(frame(TEXT, b"t"), 1000000)

    def test_flood_of_large_messages_without_reading(self):
        self.assert_flood_is_bounded(frame(BINARY, b"b" * 65536), 600)

    def test_flood_of_json_messages_without_reading(self):
        self.assert_flood_is_bounded(frame(TEXT, b'{"a": 1}'), 1000000, "/ws/bench/flood/")

    def test_all_of_a_thousand_pings_are_answered_in_order_when_they_are_read(self):
        with self.websocket() as client:
            client.send(b"".join(frame(PING, b"%d" % i) for i in range(1000)))
            for i in range(1000):
                self.assertEqual(client.event(5), ("pong", b"%d" % i))

    def test_slow_reader_is_4408_and_the_others_get_everything(self):
        before = self.server.memory_bytes()
        slow_socket = socket.socket()
        slow_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow_socket.connect(self.address)
        slow = self.websocket("/ws/bench/slow/", sock=slow_socket)
        body = b"s" * 60000
        with slow, self.websocket("/ws/bench/slow/") as quick, RawHttp(self.address) as publisher:
            for number in range(400):  # 24 MB: above the outbox and all kernel buffers
                publisher.send(request("POST", "/bench/slow/", self.host, body=body))
                self.assertLess(publisher.answer().status, 300)
                got = quick.event(5)
                self.assertEqual(got and got[0], "message", f"message {number}")
                self.assertIn(body, got[1])
            ends = [event for event in slow.until_end(20) if event is None or event[0] != "message"]
            self.assertEqual([event and event[:2] for event in ends[:1]], [("close", 4408)])
        self.assertLess(self.server.memory_peak_bytes() - before, 64 * MIB)

    def test_ten_thousand_pipelined_requests_without_reading(self):
        before = self.server.memory_bytes()
        with RawHttp(self.address) as client:
            self.flood(client, request("GET", "/healthz", self.host) * 10000, seconds=3)
            self.assert_honest_client_is_served()
            self.assertLess(self.server.memory_peak_bytes() - before, 64 * MIB)


class HostileRequests(JudgeCase):
    """HTTP that is malformed, too large or meant for somebody else."""

    def test_head_of_one_megabyte_is_431(self):
        answer = exchange(self.address, request("GET", "/", self.host, "X-Long: " + "h" * MIB))
        self.assert_error(answer, 431)

    def test_target_of_64_kilobytes_is_414_or_431(self):
        self.assert_error(self.ask("GET", "/" + "t" * 65536), 414, 431)

    def test_a_thousand_headers_are_431(self):
        lines = [f"X-{i}: {i}" for i in range(1000)]
        self.assert_error(self.ask("GET", "/", *lines), 431)

    def test_body_above_the_limit_is_413_before_it_is_sent(self):
        announced = f"Content-Length: {BODY_BYTES_MAX + 1}"
        self.assert_error(self.ask("POST", "/bench/large/", announced, body=b"x"), 413)

    def test_chunked_body_above_the_limit_is_413(self):
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        with RawHttp(self.address) as client:
            client.send(request("POST", "/bench/large/", self.host, "Transfer-Encoding: chunked"))
            for _ in range(BODY_BYTES_MAX // 65536 + 2):
                if not client.send(piece):
                    break
            self.assert_error(client.answer(), 413)

    def test_smuggled_request_is_never_answered(self):
        inner = f"GET /healthz HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode()
        pairs = {
            "both lengths": (f"Content-Length: {len(inner) + 5}", "Transfer-Encoding: chunked"),
            "two lengths": ("Content-Length: 0", f"Content-Length: {len(inner)}"),
            "a list of lengths": (f"Content-Length: 0, {len(inner)}",),
            "a signed length": (f"Content-Length: +{len(inner)}",),
            "a length in hexadecimal": ("Content-Length: 0x10",),
            "a space before the colon": (f"Content-Length : {len(inner)}",),
            "chunked is not the last": ("Transfer-Encoding: chunked, identity",),
            "an unknown coding": ("Transfer-Encoding: xchunked",),
            "a folded header": ("Transfer-Encoding:", " chunked"),
            "chunked twice": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        }
        for name, headers in pairs.items():
            with self.subTest(name), RawHttp(self.address, timeout=3) as client:
                lines = ["POST /bench/smuggle/ HTTP/1.1", f"Host: {self.host}", *headers]
                client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + b"0\r\n\r\n" + inner)
                answer = client.answer()
                self.assertIn(answer.status if answer else 400, (400, 411, 501), answer)
                self.assertTrue(client.is_ended_within(3), "the connection stays open behind a doubtful length")
                self.assertNotIn(b"HTTP/1.1", client.buffer, "the smuggled request was answered")

    def test_rubbish_is_400_or_hung_up_on(self):
        rubbish = {
            "a TLS hello": bytes.fromhex("16030100a5010000a10303") + bytes(160),
            "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "octets": os.urandom(2000) + b"\r\n\r\n",
            "no version": b"GET /\r\n\r\n",
            "version 9": f"GET / HTTP/9.9\r\nHost: {self.host}\r\n\r\n".encode(),
            "a NUL in a header": request("GET", "/", self.host, "X-Nul: a\0b"),
            "a bare CR in a header": request("GET", "/", self.host, "X-Cr: a\rb"),
            "a bad escape": request("GET", "/%zz", self.host),
            "a space in the name": request("GET", "/", self.host, "X Y: 1"),
        }
        for name, data in rubbish.items():
            with self.subTest(name):
                answer = exchange(self.address, data, timeout=15)
                if answer is not None:
                    self.assertIn(answer.status, (400, 404, 405, 431, 501, 505), answer)

    def test_bad_host_is_400(self):
        for host in ("evil.example", "127.0.0.1.evil.example", "user@127.0.0.1", "127.0.0.1:port", "", "a b"):
            with self.subTest(host):
                self.assert_error(exchange(self.address, request("GET", "/healthz", host)), 400)
                self.assert_error(exchange(self.address, request("GET", "/", host)), 400)

    def test_missing_or_second_host_is_400(self):
        self.assert_error(exchange(self.address, b"GET / HTTP/1.1\r\n\r\n"), 400)
        self.assert_error(self.ask("GET", "/", f"Host: {self.host}"), 400)

    def test_unknown_route_is_404_with_the_error_object(self):
        self.assert_error(self.ask("GET", "/no/such/page/"), 404)
        self.assert_error(self.ask("POST", "/no/such/page/", body=b"x"), 404)

    def test_wrong_method_is_405_with_allow(self):
        answer = self.ask("DELETE", "/healthz")
        self.assert_error(answer, 405)
        self.assertIn("GET", answer.headers["allow"])
        answer = self.ask("GET", "/bench/x/")
        self.assert_error(answer, 405)
        self.assertIn("POST", answer.headers["allow"])

    def test_cross_site_post_is_403(self):
        for header in (f"Origin: {FOREIGN}", "Origin: null", "Sec-Fetch-Site: cross-site"):
            with self.subTest(header):
                self.assert_error(self.ask("POST", "/bench/x/", header, body=b"x"), 403)
                self.assert_error(self.ask("POST", "/reports/start/", header, "Content-Type: application/json",
                                           body=b'{"kind":"demo","steps":1,"step_seconds":0}'), 403)
        for header in (f"Origin: http://{self.host}", "Sec-Fetch-Site: same-origin"):
            self.assertLess(self.ask("POST", "/bench/x/", header, body=b"x").status, 300)

    def test_paths_that_climb_find_nothing(self):
        for path in ("/assets/../../etc/passwd", "/assets/%2e%2e/%2e%2e/etc/passwd", "/assets/..%2f..%2fetc%2fpasswd",
                     "//etc/passwd", "/assets//etc/passwd", "/assets/%00", "/assets/..\\..\\etc\\passwd"):
            with self.subTest(path):
                answer = self.ask("GET", path)
                self.assertIn(answer.status, (400, 404), answer)
                self.assertNotIn(b"root:", answer.body)

    def test_pipelined_requests_are_answered_in_order(self):
        with RawHttp(self.address) as client:
            paths = ["/healthz" if i % 2 else f"/missing/{i}/" for i in range(50)]
            client.send(b"".join(request("GET", path, self.host) for path in paths))
            self.assertEqual([client.answer().status for _ in range(50)], [200 if i % 2 else 404 for i in range(50)])


class HostileHandshakes(JudgeCase):
    """WebSocket handshakes that must not succeed."""

    def assert_refused(self, status, path=ECHO, **more):
        with self.assertRaises(HandshakeRefused) as refused:
            self.websocket(path, **more).close()
        self.assertEqual(refused.exception.status, status)
        return refused.exception

    def test_foreign_origin_is_403(self):
        for origin in (FOREIGN, "http://127.0.0.1.evil.example", "https://localhost.evil.example:80", "null"):
            with self.subTest(origin):
                self.assert_refused(403, GUARDED, origin=origin)

    def test_own_origins_are_welcome(self):
        for origin in (f"http://{self.host}", "http://localhost", "http://[::1]:1234"):
            with self.subTest(origin), self.websocket(GUARDED, origin=origin) as client:
                self.assertEqual((client.event(5) or ("nothing",))[:2], ("close", 4404))

    def test_unknown_path_is_404(self):
        self.assert_refused(404, "/ws/no/such/consumer/")

    def test_bad_host_is_400(self):
        handshake = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        answer = exchange(self.address, request("GET", ECHO, "evil.example", *handshake))
        self.assert_error(answer, 400)

    def test_defects_of_the_handshake(self):
        good = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": f"http://{self.host}"}
        defects = {"no key": ({"Sec-WebSocket-Key": None}, 400), "a short key": ({"Sec-WebSocket-Key": "abc="}, 400),
                   "version 12": ({"Sec-WebSocket-Version": "12"}, 426),
                   "no version": ({"Sec-WebSocket-Version": None}, 426)}
        for name, (change, status) in defects.items():
            with self.subTest(name):
                lines = [f"{key}: {value}" for key, value in {**good, **change}.items() if value is not None]
                answer = exchange(self.address, request("GET", ECHO, self.host, *lines))
                self.assertIn(answer.status, (status, 400), answer)
                if answer.status == 426:
                    self.assertEqual(answer.headers.get("sec-websocket-version"), "13")

    def test_plain_request_to_a_socket_path_is_no_success(self):
        self.assert_error(self.ask("GET", ECHO), 400, 404, 405, 426)


class HostileSilence(JudgeCase):
    """Clients that say nothing, or next to nothing."""

    @classmethod
    def setUpClass(cls):
        cls.options, chosen = known_options({"--handshake-timeout": "2", "--ping-interval": "1", "--ping-timeout": "2"})
        cls.handshake_seconds = int(chosen.get("--handshake-timeout", HANDSHAKE_SECONDS))
        cls.ping_seconds = (int(chosen.get("--ping-interval", PING_SECONDS)) +
                            int(chosen.get("--ping-timeout", PING_ANSWER_SECONDS)))
        super().setUpClass()

    def assert_ended_in_time(self, clients, begin, seconds):
        for client in clients:
            self.assertTrue(client.is_ended_within(begin + seconds + 4 - time.monotonic()), f"open after {seconds} s")
            self.assertNotIn(b" 200 ", client.buffer[:20])

    def test_peers_that_send_nothing_are_ended(self):
        begin = time.monotonic()
        clients = [RawHttp(self.address) for _ in range(200)]
        self.assert_honest_client_is_served()
        self.assert_ended_in_time(clients, begin, self.handshake_seconds)

    def test_first_client_after_a_long_quiet_is_served(self):
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() - begin > self.handshake_seconds + 2, 60, "a quiet while has passed")
        for _ in range(4):
            with self.websocket() as client:
                client.send_text("good morning")
                self.assertEqual(client.event(5), ("message", b"good morning", False))

    def test_slowloris_gains_no_time_by_trickling(self):
        begin = time.monotonic()
        clients = [RawHttp(self.address) for _ in range(200)]
        trickle = iter(request("GET", "/", self.host, "X-Slow: " + "z" * 4000))
        while time.monotonic() < begin + self.handshake_seconds + 2:
            octet = bytes([next(trickle)])
            open_ones = [client for client in clients if client.send(octet)]
            if not open_ones:
                break
            open_ones[0].is_ended_within(0.25)  # the pace of the trickle
        self.assert_ended_in_time(clients, begin, self.handshake_seconds)

    def test_websocket_peer_that_is_gone_is_ended(self):
        with self.websocket() as client:
            begin = time.monotonic()
            asked = client.event(self.ping_seconds + 4)
            self.assertEqual(asked and asked[0], "ping", "the server asks for a sign of life")
            ended = client.until_end(self.ping_seconds + 6)
            self.assertIsNotNone(ended[-1], "a peer that answers no ping stays connected")
            self.assertLess(time.monotonic() - begin, self.ping_seconds + 5)


class HostileCrowd(JudgeCase):
    """More connections than anybody needs, all silent."""

    def test_ten_thousand_idle_sockets_in_bounded_memory(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < IDLE_SOCKETS + 200:
            raise unittest.SkipTest(f"RLIMIT_NOFILE allows {hard} descriptors, {IDLE_SOCKETS + 200} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        before, begin = self.server.memory_bytes(), time.monotonic()
        clients = []
        try:
            for _ in range(IDLE_SOCKETS):
                clients.append(self.websocket())
            self.assertLess(time.monotonic() - begin, 30, "ten thousand handshakes")
            self.assertLess(self.memory_growth(before), 60 * MIB)
            self.assert_honest_client_is_served()
        finally:
            for client in clients:
                client.close()
        wait_until(lambda: self.server.open_files() < 200, 15, "the server lets go of ten thousand closed sockets")


if __name__ == "__main__":
    unittest.main()
