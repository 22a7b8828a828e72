// The client against npm's `ws` server on the loopback address: a real network, a real close handshake.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { WebSocket, WebSocketServer, type WebSocket as Peer } from "ws";
import { Connection, type ConnectionOptions, type ConnectionState } from "../src/connection.ts";
import type { SocketConstructor } from "../src/environment.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) {
    cleanup();
  }
});

async function serve(port = 0): Promise<{ server: WebSocketServer; port: number }> {
  const server = new WebSocketServer({ host: "127.0.0.1", port });
  await once(server, "listening");
  cleanups.push(() => stop(server));
  return { server, port: (server.address() as AddressInfo).port };
}

/** As kill -9 does: no closing handshake. */
function stop(server: WebSocketServer): void {
  for (const peer of server.clients) {
    peer.terminate();
  }
  server.close();
}

function connect(port: number, options: ConnectionOptions<unknown, unknown> = {}): Connection {
  const connection = new Connection(`ws://127.0.0.1:${port}/ws/`, {
    backoff: { base: 40, cap: 40, floor: 10 },
    ...options,
    environment: { WebSocket: WebSocket as unknown as SocketConstructor },
  });
  cleanups.push(() => connection.close());
  return connection;
}

function reaches(connection: Connection, wanted: (state: ConnectionState) => boolean): Promise<ConnectionState> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`still ${JSON.stringify(connection.state)}`)), 10_000);
    const look = (state: ConnectionState) => {
      if (wanted(state)) {
        clearTimeout(limit);
        stopListening();
        resolve(state);
      }
    };
    const stopListening = connection.subscribe(look);
    look(connection.state);
  });
}

const isOpen = (openings: number) => (state: ConnectionState) => state.phase === "open" && state.openings >= openings;

test("messages travel both ways", async () => {
  const { server, port } = await serve();
  server.on("connection", (peer) => peer.on("message", (data) => peer.send(String(data))));
  const answer = new Promise((resolve) => {
    connect(port, { onMessage: resolve, onOpen: (opening) => opening.send({ text: "ä€𝄞" }) });
  });
  assert.deepEqual(await answer, { text: "ä€𝄞" });
});

test("a server killed in the middle of a burst is found again on the same port and greeted again", async () => {
  const first = await serve();
  let received = 0;
  let greetings = 0;
  first.server.on("connection", (peer: Peer) => {
    for (let i = 0; i < 1000; ++i) {
      peer.send(JSON.stringify({ i }));
    }
  });
  const burst = new Promise<void>((resolve) => {
    connect(first.port, {
      onMessage: () => {
        received += 1;
        if (received === 500) {
          stop(first.server);
          resolve();
        }
      },
      onOpen: (opening) => opening.send({ greeting: ++greetings }),
    });
  });
  await burst;
  const second = await serve(first.port);
  const [peer] = (await once(second.server, "connection")) as [Peer];
  const [greeting] = await once(peer, "message");
  assert.deepEqual(JSON.parse(String(greeting)), { greeting: 2 });
  assert.ok(received >= 500);
});

test("a server that is not there yet is awaited", async () => {
  const { server, port } = await serve();
  stop(server);
  await once(server, "close");
  const connection = connect(port);
  await reaches(connection, (state) => state.phase === "waiting" && state.failures >= 2);
  await serve(port);
  await reaches(connection, isOpen(1));
});

test("close codes of a real server arrive: 4404 is final, 1012 comes back", async () => {
  const { server, port } = await serve();
  const codes = [1012, 4404];
  server.on("connection", (peer) => peer.close(codes.shift(), "as told"));
  const connection = connect(port);
  const state = await reaches(connection, (now) => now.phase === "closed");
  assert.deepEqual(state, { phase: "closed", code: 4404, reason: "as told", byUs: false });
  assert.deepEqual(codes, []);
});

test("a server that refuses the handshake is tried again", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, verifyClient: () => ++asked > 2 });
  let asked = 0;
  await once(server, "listening");
  cleanups.push(() => stop(server));
  const connection = connect((server.address() as AddressInfo).port);
  await reaches(connection, isOpen(1));
  assert.equal(asked, 3);
});

test("close while connecting leaves no socket behind", async () => {
  const { server, port } = await serve();
  const connection = connect(port);
  connection.close();
  assert.equal(connection.state.phase, "closed");
  const second = connect(port);
  await reaches(second, isOpen(1));
  assert.ok(server.clients.size <= 1);
});

test("our close reaches the server with code and reason", async () => {
  const { server, port } = await serve();
  const arrived = once(server, "connection") as Promise<[Peer]>;
  const connection = connect(port);
  await reaches(connection, isOpen(1));
  const [peer] = await arrived;
  const closed = once(peer, "close");
  connection.close(4001, "done here");
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [4001, "done here"]);
});
