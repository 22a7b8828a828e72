// The connection's states under a fake clock: a server that goes away at every moment, queue, greeting, signals.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection, type ConnectionOptions, type ConnectionState } from "../src/connection.ts";
import { World } from "./fakes.ts";

function open(options: ConnectionOptions<unknown, unknown> = {}) {
  const world = new World();
  const received: unknown[] = [];
  const connection = new Connection("ws://test/ws/", {
    onMessage: (message) => received.push(message),
    ...options,
    environment: world.environment,
  });
  const phases: ConnectionState[] = [];
  connection.subscribe((state) => phases.push(state));
  return { world, connection, received, phases };
}

// A function, since the compiler takes a compared property for constant.
const phase = (connection: Connection): string => connection.state.phase;
const phaseNames = (states: ConnectionState[]) => states.map((state) => state.phase);

test("it connects at once and reports open", () => {
  const { world, connection, phases } = open({ protocols: ["a", "b"] });
  assert.equal(phase(connection), "connecting");
  assert.deepEqual(world.last.protocols, ["a", "b"]);
  world.last.accept();
  assert.deepEqual(phases, [{ phase: "open", since: world.clock.now(), openings: 1 }]);
});

test("a refused connection is tried again with growing waits", () => {
  const { world, connection } = open();
  const waits: number[] = [];
  for (let i = 0; i < 9; ++i) {
    world.last.lose();
    assert.equal(phase(connection), "waiting");
    const retryAt = (connection.state as { retryAt: number }).retryAt;
    waits.push(retryAt - world.clock.now());
    const before = world.sockets.length;
    world.clock.advance(retryAt - world.clock.now() - 1);
    assert.equal(world.sockets.length, before, "an attempt came too early");
    world.clock.advance(1);
    assert.equal(world.sockets.length, before + 1);
  }
  assert.deepEqual(waits, [300, 550, 1050, 2050, 4050, 8050, 15050, 15050, 15050]);
});

test("an attempt that hangs is given up after ten seconds", () => {
  const { world, connection } = open();
  const hung = world.last;
  world.clock.advance(9_999);
  assert.equal(phase(connection), "connecting");
  world.clock.advance(1);
  assert.equal(phase(connection), "waiting");
  assert.notEqual(hung.closedWith, null);
  hung.accept(); // Too late: it is no longer ours.
  assert.equal(phase(connection), "waiting");
});

test("failures are forgotten only after ten stable seconds", () => {
  const { world, connection } = open();
  const failures = () => (connection.state as { failures: number }).failures;
  const untilRetry = () => world.clock.advance((connection.state as { retryAt: number }).retryAt - world.clock.now());
  world.last.lose();
  untilRetry();
  world.last.accept();
  world.clock.advance(9_999);
  world.last.lose();
  assert.equal(failures(), 2);
  untilRetry();
  world.last.accept();
  world.clock.advance(10_000);
  world.last.lose();
  assert.equal(failures(), 1);
});

test("the greeting is sent again at every opening, ahead of the queue", () => {
  const reopened: boolean[] = [];
  const { world, connection } = open({
    onOpen: (opening) => {
      reopened.push(opening.reopened);
      opening.send({ subscribe: 7 });
    },
  });
  assert.equal(connection.send({ early: 1 }), "queued");
  world.last.accept();
  assert.deepEqual(world.last.sent, ['{"subscribe":7}', '{"early":1}']);
  world.last.lose();
  assert.equal(connection.send({ late: 2 }), "queued");
  world.clock.advance(300);
  world.last.accept();
  assert.deepEqual(world.last.sent, ['{"subscribe":7}', '{"late":2}']);
  assert.deepEqual(reopened, [false, true]);
});

test("a greeting that throws leaves an open connection", () => {
  const { world, connection } = open({
    onOpen: () => {
      throw new Error("user code");
    },
  });
  assert.throws(() => world.last.accept(), /user code/);
  assert.equal(phase(connection), "open");
});

test("a greeting that closes the connection is obeyed", () => {
  const world = new World();
  const connection: Connection = new Connection("ws://test/", {
    onOpen: () => connection.close(),
    environment: world.environment,
  });
  world.last.accept();
  assert.equal(phase(connection), "closed");
  assert.equal(world.clock.pending, 0);
});

test("the queue is bounded and says so", () => {
  const { world, connection } = open({ queueLimit: 2 });
  assert.deepEqual(
    [1, 2, 3].map((n) => connection.send(n)),
    ["queued", "queued", "refused"],
  );
  assert.equal(connection.queued, 2);
  world.last.accept();
  assert.deepEqual(world.last.sent, ["1", "2"]);
  assert.equal(connection.queued, 0);
  assert.equal(connection.send(4), "sent");
});

test("messages sent while the socket is closing wait for the next opening", () => {
  const { world, connection } = open();
  world.last.accept();
  world.last.readyState = 2;
  assert.equal(connection.send("kept"), "queued");
  world.last.lose(1001);
  world.clock.advance(300);
  world.last.accept();
  assert.deepEqual(world.last.sent, ['"kept"']);
});

test("a socket that dies while the queue leaves keeps the rest of the queue", () => {
  const { world, connection } = open();
  [1, 2, 3].forEach((n) => connection.send(n));
  const first = world.last;
  const send = first.send.bind(first);
  first.send = (data) => {
    send(data);
    first.readyState = 2;
  };
  first.accept();
  assert.deepEqual(first.sent, ["1"]);
  assert.equal(connection.queued, 2);
  first.lose();
  world.clock.advance(300);
  world.last.accept();
  assert.deepEqual(world.last.sent, ["2", "3"]);
});

test("close drops the queue, and reconnect does not bring it back", () => {
  const { world, connection } = open();
  connection.send("old");
  connection.close();
  assert.equal(connection.queued, 0);
  connection.reconnect();
  world.last.accept();
  assert.deepEqual(world.last.sent, []);
});

test("a server that goes away at the very opening is found again", () => {
  const { world, connection, phases } = open();
  world.last.accept();
  world.last.lose(1011, "boom");
  const state = connection.state;
  assert.ok(state.phase === "waiting" && state.code === 1011 && state.reason === "boom");
  world.clock.advance(300);
  world.last.accept();
  assert.deepEqual(phaseNames(phases), ["open", "waiting", "connecting", "open"]);
});

test("a server that goes away in the middle of a burst loses no received message", () => {
  const { world, received } = open();
  world.last.accept();
  const first = world.last;
  for (let i = 0; i < 50; ++i) {
    first.say({ i });
  }
  first.lose();
  first.say({ i: "ghost" }); // A dead socket says nothing more.
  world.clock.advance(300);
  world.last.accept();
  for (let i = 50; i < 100; ++i) {
    world.last.say({ i });
  }
  assert.deepEqual(
    received,
    Array.from({ length: 100 }, (_, i) => ({ i })),
  );
});

test("close is final in every state", () => {
  const moments: Record<string, (world: World) => void> = {
    connecting: () => undefined,
    open: (world) => world.last.accept(),
    waiting: (world) => world.last.lose(),
  };
  for (const [moment, arrive] of Object.entries(moments)) {
    const { world, connection } = open();
    arrive(world);
    assert.equal(phase(connection), moment);
    connection.close(4000, "bye");
    assert.deepEqual(connection.state, { phase: "closed", code: 4000, reason: "bye", byUs: true });
    const sockets = world.sockets.length;
    world.last.lose(1006); // The server goes away while we close.
    world.signal("online");
    world.clock.advance(120_000);
    assert.equal(world.sockets.length, sockets);
    assert.equal(connection.send("x"), "refused");
    assert.equal(world.clock.pending, 0);
    assert.equal(world.listening, 0);
  }
});

test("a code that applications may not send still closes", () => {
  const { world, connection } = open();
  world.last.accept();
  connection.close(1001);
  assert.deepEqual(world.last.closedWith, { code: undefined, reason: undefined });
  assert.equal(phase(connection), "closed");
});

test("final codes end it; reconnect opens it again", () => {
  for (const code of [1000, 1008, 4401, 4403, 4404]) {
    const { world, connection } = open();
    world.last.accept();
    world.last.lose(code, "no");
    assert.deepEqual(connection.state, { phase: "closed", code, reason: "no", byUs: false });
    world.clock.advance(600_000);
    assert.equal(world.sockets.length, 1);
    connection.reconnect();
    world.last.accept();
    assert.equal(phase(connection), "open");
    assert.equal(world.listening, 1);
  }
});

test("a restarting server is sought within three seconds, spread over the clients", () => {
  const wait = (draw: number, code: number) => {
    const { world, connection } = open();
    world.last.accept();
    world.draws = [draw];
    world.last.lose(code);
    return (connection.state as { retryAt: number }).retryAt - world.clock.now();
  };
  assert.equal(wait(0, 1012), 200);
  assert.equal(wait(0.5, 1012), 1600);
  assert.equal(wait(0.9999, 1012), 3000);
  assert.equal(wait(0, 1013), 5000);
  assert.equal(wait(0.9999, 1013), 10000);
  assert.equal(wait(0.5, 4408), 300);
});

test("a server that restarts again and again is sought with growing waits", () => {
  const { world, connection } = open();
  const waits: number[] = [];
  for (let i = 0; i < 4; ++i) {
    world.last.accept();
    world.last.lose(1012);
    waits.push((connection.state as { retryAt: number }).retryAt - world.clock.now());
    world.clock.advance(waits[i] as number);
  }
  assert.deepEqual(waits, [1600, 550, 1050, 2050]);
});

test("a policy of the application decides instead", () => {
  const { world, connection } = open({ policy: (code) => (code === 1000 ? "backoff" : "final") });
  world.last.accept();
  world.last.lose(1000);
  assert.equal(phase(connection), "waiting");
  world.clock.advance(300);
  world.last.lose(1006);
  assert.equal(phase(connection), "closed");
});

test("a page that comes back online or is shown again does not wait", () => {
  for (const signal of ["online", "visible", "wake"] as const) {
    const { world, connection } = open();
    world.last.lose();
    world.signal("offline");
    assert.equal(phase(connection), "waiting");
    world.signal(signal);
    assert.equal(phase(connection), "connecting");
    world.clock.advance(300);
    assert.equal(world.sockets.length, 2, "the timer of the wait must be gone");
  }
});

test("offline alone ends nothing, online after it opens the connection anew", () => {
  const { world, connection } = open();
  const first = world.last;
  first.accept();
  world.signal("offline");
  assert.equal(phase(connection), "open");
  world.signal("online");
  assert.equal(phase(connection), "connecting");
  assert.notEqual(first.closedWith, null);
  world.last.accept();
  assert.equal(phase(connection), "open");
});

test("a doubted connection that answers the probe stays", () => {
  const { world, connection, received } = open({ probe: () => ({ action: "ping" }) });
  world.last.accept();
  world.signal("online");
  assert.deepEqual(world.last.sent, ['{"action":"ping"}']);
  world.clock.advance(4_999);
  world.last.say("\"pong\"");
  world.clock.advance(60_000);
  assert.equal(world.sockets.length, 1);
  assert.equal(phase(connection), "open");
  assert.deepEqual(received, ["pong"]);
});

test("a doubted connection that stays silent is replaced", () => {
  const { world, connection } = open({ probe: () => "?" });
  world.last.accept();
  world.signal("wake");
  world.clock.advance(5_000);
  assert.equal(world.sockets.length, 2);
  assert.equal(phase(connection), "connecting");
});

test("staleAfter watches for silence and counts from the last message", () => {
  const { world, connection } = open({ staleAfter: 30_000, probe: () => "?" });
  world.last.accept();
  world.clock.advance(29_000);
  world.last.say({});
  world.clock.advance(29_999);
  assert.deepEqual(world.last.sent, []);
  world.clock.advance(1);
  assert.deepEqual(world.last.sent, ['"?"']);
  world.clock.advance(5_000);
  assert.equal(phase(connection), "connecting");
});

test("a shown page is doubted only when it has been silent for staleAfter", () => {
  const { world } = open({ staleAfter: 30_000 });
  world.last.accept();
  world.signal("visible");
  assert.equal(world.sockets.length, 1);
  world.clock.advance(30_000);
  assert.equal(world.sockets.length, 2, "silence without a probe opens the connection anew");
});

test("text that is not JSON is reported and the connection stays", () => {
  const errors: unknown[] = [];
  const { world, connection, received } = open({ onError: (error) => errors.push(error) });
  world.last.accept();
  world.last.say("{broken");
  world.last.say({ fine: true });
  assert.equal(errors.length, 1);
  assert.deepEqual(received, [{ fine: true }]);
  assert.equal(phase(connection), "open");
});

test("messages are typed through decode and encode, and binary ones go their own way", () => {
  const world = new World();
  const numbers: number[] = [];
  const binary: number[] = [];
  const connection = new Connection<number, Date>("ws://test/", {
    decode: (text) => Number.parseInt(text, 10),
    encode: (date) => date.toISOString(),
    onMessage: (message) => numbers.push(message),
    onBinary: (data) => binary.push(data.byteLength),
    environment: world.environment,
  });
  world.last.accept();
  world.last.say("42");
  world.last.sayBinary(new ArrayBuffer(3));
  connection.send(new Date(0));
  assert.deepEqual([numbers, binary, world.last.sent], [[42], [3], ["1970-01-01T00:00:00.000Z"]]);
});

test("listeners may close or reconnect from within a change of state", () => {
  const { world, connection } = open();
  const stop = connection.subscribe((state) => {
    if (state.phase === "waiting") {
      connection.reconnect();
    }
  });
  world.last.accept();
  world.last.lose();
  assert.equal(phase(connection), "connecting");
  assert.equal(world.sockets.length, 2);
  stop();
  world.last.lose();
  assert.equal(phase(connection), "waiting");
  connection.subscribe((state) => state.phase === "connecting" && connection.close());
  world.clock.advance(300);
  assert.equal(phase(connection), "closed");
  assert.equal(world.clock.pending, 0);
});

test("a wrong address is final", () => {
  const world = new World();
  const connection = new Connection("ws://test/", {
    environment: {
      ...world.environment,
      WebSocket: class {
        constructor() {
          throw new SyntaxError("bad address");
        }
      } as never,
    },
  });
  assert.equal(phase(connection), "closed");
});
