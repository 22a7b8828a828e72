"""Foreign clients: Python's websockets, npm's ws and curl talk to the server over TCP, a unix socket and TLS."""

import asyncio
import gzip
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

from carillon_process import ROOT, CarillonProcess, wait_until
from certificates import certificate
from judge_case import ECHO, JudgeCase
from raw_websocket import RawWebSocket

try:
    import websockets
except ImportError:
    websockets = None

WS_PACKAGE = ROOT / "js/node_modules/ws"
SAMPLES = ["", "plain", "κόσμε 🙂", "x" * 70000, b"", bytes(range(256)) * 300]

NODE_CLIENT = """
const WebSocket = require(process.argv[1]);
const options = {perMessageDeflate: process.argv[3] === "deflate", rejectUnauthorized: false, origin: process.argv[4]};
const ws = new WebSocket(process.argv[2], options);
const sent = ["", "plain", "κόσμε", "y".repeat(70000), Buffer.from([0, 255, 1]), Buffer.alloc(100000, 7)];
let at = 0;
const finish = (why) => { console.log(JSON.stringify(why)); process.exit(0); };
ws.on("open", () => ws.send(sent[0]));
ws.on("message", (data, binary) => {
    const wanted = sent[at];
    if (binary !== Buffer.isBuffer(wanted) || !Buffer.from(wanted).equals(data)) finish({wrong: at});
    at += 1;
    if (at < sent.length) ws.send(sent[at]);
    else ws.ping("p");
});
ws.on("pong", (data) => ws.close(1000, "done " + data));
ws.on("close", (code) => finish({code, echoed: at, deflate: ws.extensions}));
ws.on("error", (error) => finish({error: String(error)}));
setTimeout(() => finish({timeout: at}), 15000);
"""


async def echo_with(connect, *arguments, **named):
    """Every sample there and back, a ping, a clean close; `connect` is a function of websockets."""
    async with connect(*arguments, **named, max_size=None) as client:
        for sample in SAMPLES:
            await asyncio.wait_for(client.send(sample), 10)
            got = await asyncio.wait_for(client.recv(), 10)
            if got != sample:
                raise AssertionError(f"{len(sample)} sent as {type(sample)}, {len(got)} came back as {type(got)}")
        await asyncio.wait_for(await client.ping(), 10)
        await client.close()
        return client.close_code, [extension.name for extension in client.extensions]


def node_echo(url, compression, origin):
    """What npm's ws reports of its exchange with an echoing URL."""
    done = subprocess.run(["node", "-e", NODE_CLIENT, "--", str(WS_PACKAGE), url, compression, origin],
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def curl(*arguments):
    """Runs curl; returns its standard output as octets."""
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"curl {arguments} ended with {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def head_of(octets):
    """Status and headers (names in lower case) of the last head in curl -i's output, and the body behind it."""
    head, _, body = octets.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in
                                      (line.partition(":") for line in lines[1:])}, body


@unittest.skipUnless(websockets, "Python's websockets is not installed")
class PythonWebsockets(JudgeCase):

    def test_echoes_with_compression(self):
        result = asyncio.run(echo_with(websockets.connect, self.server.ws_url(ECHO), origin=f"http://{self.host}"))
        self.assertEqual(result, (1000, ["permessage-deflate"]))

    def test_echoes_without_compression(self):
        result = asyncio.run(echo_with(websockets.connect, self.server.ws_url(ECHO), origin=f"http://{self.host}",
                                       compression=None))
        self.assertEqual(result, (1000, []))

    def test_two_hundred_at_once_hear_the_same_events(self):
        async def all_of_them():
            def connecting():
                return websockets.connect(self.server.ws_url("/ws/bench/many/"), origin=f"http://{self.host}")
            clients = [await connecting() for _ in range(200)]
            for number in range(5):
                self.assertLess(self.ask("POST", "/bench/many/", body=b'{"number": %d}' % number).status, 300)
            heard = [[await asyncio.wait_for(client.recv(), 10) for _ in range(5)] for client in clients]
            await asyncio.gather(*(client.close() for client in clients))
            return heard
        heard = asyncio.run(all_of_them())
        self.assertTrue(all(messages == heard[0] for messages in heard))
        self.assertEqual(len(set(heard[0])), 5)
        json.loads(heard[0][0])


@unittest.skipUnless(WS_PACKAGE.exists() and shutil.which("node"), f"no node, or no {WS_PACKAGE.relative_to(ROOT)}")
class NpmWs(JudgeCase):

    def test_echoes_with_compression(self):
        self.assertEqual(node_echo(self.server.ws_url(ECHO), "deflate", f"http://{self.host}"),
                         {"code": 1000, "echoed": 6, "deflate": "permessage-deflate"})

    def test_echoes_without_compression(self):
        self.assertEqual(node_echo(self.server.ws_url(ECHO), "plain", f"http://{self.host}"),
                         {"code": 1000, "echoed": 6, "deflate": ""})


class Curl(JudgeCase):
    """HTTP as curl speaks it."""

    def asset(self):
        """The URL of a static file that the page at / uses."""
        page = curl(self.server.url("/")).decode()
        found = re.search(r'(?:src|href)="(/assets/[^"]+\.(?:js|css))"', page)
        self.assertIsNotNone(found, "the page at / uses no asset")
        return self.server.url(found.group(1))

    def test_get_and_head_agree(self):
        for url in (self.server.url("/"), self.server.url("/healthz"), self.asset()):
            got, head = head_of(curl("-i", url)), head_of(curl("-I", url))
            self.assertEqual((got[0], head[0], head[2]), (200, 200, b""))
            for name in ("content-type", "content-length", "etag"):
                self.assertEqual(got[1].get(name), head[1].get(name), f"{name} of {url}")
            self.assertEqual(int(got[1]["content-length"]), len(got[2]))

    def test_etag_saves_the_body(self):
        url = self.asset()
        _, headers, _ = head_of(curl("-i", url))
        status, again, body = head_of(curl("-i", "-H", f"If-None-Match: {headers['etag']}", url))
        self.assertEqual((status, body), (304, b""))
        self.assertEqual(again["etag"], headers["etag"])
        self.assertEqual(head_of(curl("-i", "-H", 'If-None-Match: "other"', url))[0], 200)

    def test_ranges(self):
        url = self.asset()
        _, _, whole = head_of(curl("-i", url))
        size = len(whole)
        for asked, first, last in (("0-9", 0, 9), ("5-", 5, size - 1), ("-7", size - 7, size - 1)):
            status, headers, part = head_of(curl("-i", "-r", asked, url))
            self.assertEqual((status, part), (206, whole[first:last + 1]), asked)
            self.assertEqual(headers["content-range"], f"bytes {first}-{last}/{size}")
        status, headers, _ = head_of(curl("-i", "-r", f"{size}-", url))
        self.assertEqual((status, headers["content-range"]), (416, f"bytes */{size}"))

    def test_gzip_is_the_same_file(self):
        url = self.asset()
        _, _, plain = head_of(curl("-i", url))
        _, headers, packed = head_of(curl("-i", "-H", "Accept-Encoding: gzip", url))
        self.assertEqual(headers.get("content-encoding"), "gzip")
        self.assertIn("accept-encoding", headers.get("vary", "").lower())
        self.assertLess(len(packed), len(plain))
        self.assertEqual(gzip.decompress(packed), plain)
        self.assertEqual(curl("--compressed", url), plain)
        self.assertNotIn("content-encoding", head_of(curl("-i", "-H", "Accept-Encoding: gzip;q=0", url))[1])

    def test_connection_is_kept_for_the_next_request(self):
        url = self.server.url("/healthz")
        out = curl("-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", url, url, url)
        self.assertEqual(out.decode().split(), ["1", "0", "0"])

    def test_http_1_0_gets_an_answer_and_the_end(self):
        status, headers, body = head_of(curl("-i", "--http1.0", self.server.url("/healthz")))
        self.assertEqual(status, 200)
        self.assertNotIn("transfer-encoding", headers)
        self.assertTrue(body)

    def test_upload_with_expect_100_continue(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x" * 1500000)
            file.flush()
            status = curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue",
                          "--data-binary", f"@{file.name}", self.server.url("/bench/curl/"))
        self.assertTrue(status.startswith(b"2"), status)

    def test_chunked_upload(self):
        status = curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "Transfer-Encoding: chunked",
                      "-d", "in pieces", self.server.url("/bench/curl/"))
        self.assertTrue(status.startswith(b"2"), status)


class UnixSocket(unittest.TestCase):
    """A second address: a socket in a folder."""

    def test_curl_and_websocket_over_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/carillon.sock"
            with CarillonProcess("--bench", "--bind", f"unix:{path}", demo=False) as server:
                self.assertEqual(head_of(curl("-i", "--unix-socket", path, "http://localhost/healthz"))[0], 200)
                raw = socket.socket(socket.AF_UNIX)
                raw.connect(path)
                with RawWebSocket("unix", ECHO, sock=raw, origin="http://localhost") as client:
                    client.send_text("over a path")
                    self.assertEqual(client.event(5), ("message", b"over a path", False))
                if websockets:
                    code, _ = asyncio.run(echo_with(websockets.unix_connect, path, f"ws://localhost{ECHO}",
                                                    origin="http://localhost"))
                    self.assertEqual(code, 1000)
                self.assertEqual(server.stop(), 0)
                self.assertFalse(pathlib.Path(path).exists(), "the socket's file is left behind")


class Tls(unittest.TestCase):
    """https:// and wss:// with a certificate of our own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="carillon-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        key, cls.cert = certificate(cls.folder)
        cls.server = CarillonProcess("--bench", "--tls-cert", str(cls.cert), "--tls-key", str(key), scheme="https")
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.trusting = ssl.create_default_context(cafile=cls.cert)
        cls.origin = f"https://127.0.0.1:{cls.server.port}"

    def test_curl_trusts_the_certificate(self):
        self.assertEqual(head_of(curl("-i", "--cacert", str(self.cert), self.server.url("/healthz")))[0], 200)

    @unittest.skipUnless(websockets, "Python's websockets is not installed")
    def test_python_websockets_over_wss(self):
        code, _ = asyncio.run(echo_with(websockets.connect, self.server.ws_url(ECHO), ssl=self.trusting,
                                        origin=self.origin))
        self.assertEqual(code, 1000)

    @unittest.skipUnless(WS_PACKAGE.exists() and shutil.which("node"), f"no node, or no {WS_PACKAGE.relative_to(ROOT)}")
    def test_npm_ws_over_wss(self):
        self.assertEqual(node_echo(self.server.ws_url(ECHO), "plain", self.origin)["code"], 1000)

    def handshake(self, version):
        """The version agreed, or the error's text."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")  # else this side's own library would refuse the old versions
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as plain:
            try:
                with context.wrap_socket(plain) as secured:
                    return secured.version()
            except (ssl.SSLError, ConnectionError) as error:
                return str(error)

    def test_tls_1_2_and_1_3_are_spoken_and_1_1_is_refused_by_the_server(self):
        self.assertEqual(self.handshake(ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        self.assertEqual(self.handshake(ssl.TLSVersion.TLSv1_3), "TLSv1.3")
        self.assertRegex(self.handshake(ssl.TLSVersion.TLSv1_1), r"(?i)alert protocol version")

    def test_plain_http_on_the_tls_port_disturbs_nobody(self):
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            plain.settimeout(15)
            try:
                answer = plain.recv(4096)
            except ConnectionResetError:
                answer = b""
            self.assertNotIn(b" 200 ", answer[:20])
        wait_until(self.server.is_ready, 5, "the server is ready")

    def test_peers_that_never_finish_the_tls_handshake_disturb_nobody(self):
        waiting = [socket.create_connection(("127.0.0.1", self.server.port), 10) for _ in range(100)]
        try:
            self.assertEqual(self.server.request("GET", "/healthz", seconds=5)[0], 200)
        finally:
            for peer in waiting:
                peer.close()


if __name__ == "__main__":
    unittest.main()
