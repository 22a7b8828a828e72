// The program under test as a process: started on a free loopback port, awaited through /readyz, ended by its pid.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const startLimit = 30_000;
const stopLimit = 40_000;
const logLines = 60;

// A run that breaks off leaves no server and no data behind.
const running = new Set();
const folders = new Set();
process.once("exit", () => {
  running.forEach((child) => child.kill("SIGKILL"));
  folders.forEach((folder) => rmSync(folder, { recursive: true, force: true }));
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => process.exit(1));
}

const firstPort = 10000;

/** Nobody listens on it now, and the system takes none of these for outgoing connections: it outlives a restart. */
async function freePort() {
  const outgoingFrom = parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "ascii"), 10);
  for (;;) {
    const port = randomInt(firstPort, Math.max(outgoingFrom, firstPort + 1000));
    const probe = createServer().listen(port, "127.0.0.1");
    try {
      await once(probe, "listening");
    } catch {
      continue;
    }
    probe.close();
    await once(probe, "close");
    return port;
  }
}

export class Site {
  #binary;
  #process = null;
  #exit = null;
  #log = [];

  constructor(binary, port, dataDir) {
    this.#binary = binary;
    this.port = port;
    this.dataDir = dataDir;
    folders.add(dataDir);
    this.address = `http://127.0.0.1:${port}`;
  }

  /** A running site with an empty data folder of its own. */
  static async start(binary) {
    const site = new Site(binary, await freePort(), mkdtempSync(join(tmpdir(), "carillon-browser-")));
    await site.start();
    return site;
  }

  async start() {
    const args = ["serve", "--demo", "--bind", `127.0.0.1:${this.port}`, "--data-dir", this.dataDir];
    const child = spawn(this.#binary, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    running.add(child);
    child.once("exit", () => running.delete(child));
    this.#exit = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      child.once("error", (error) => resolve({ code: null, signal: null, error }));
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.#log = [...this.#log, ...text.split("\n").filter(Boolean)].slice(-logLines);
      });
    }
    await this.#ready();
  }

  async #ready() {
    const limit = Date.now() + startLimit;
    let ended = null;
    void this.#exit.then((how) => (ended = how));
    while (Date.now() < limit) {
      if (ended) {
        throw new Error(`the server ended before it was ready: ${JSON.stringify(ended)}\n${this.log}`);
      }
      const answer = await fetch(`${this.address}/readyz`).catch(() => null);
      if (answer?.ok) {
        return;
      }
      await pause(50); // Nothing announces readiness to another process but the answer itself.
    }
    throw new Error(`the server was not ready after ${startLimit / 1000} s\n${this.log}`);
  }

  get log() {
    return this.#log.map((line) => `    | ${line}`).join("\n");
  }

  /** Sends the signal and waits for the end; gives {code, signal}. */
  async stop(signal = "SIGTERM") {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) {
      return this.#exit;
    }
    child.kill(signal);
    const late = new AbortController();
    const how = await Promise.race([
      this.#exit,
      pause(stopLimit, null, { signal: late.signal }).catch(() => null),
    ]);
    late.abort();
    if (!how) {
      child.kill("SIGKILL");
      throw new Error(`the server did not end within ${stopLimit / 1000} s of ${signal}\n${this.log}`);
    }
    return how;
  }

  /** Ends the process whatever its state and removes its data. */
  async dispose() {
    await this.stop("SIGKILL");
    rmSync(this.dataDir, { recursive: true, force: true });
    folders.delete(this.dataDir);
  }

  async json(path, init = {}) {
    const answer = await fetch(this.address + path, {
      ...init,
      headers: { Accept: "application/json", ...init.headers },
    });
    return { status: answer.status, body: await answer.json() };
  }

  /** Starts a demonstration job and gives its id. */
  async startDemo(steps, stepSeconds) {
    const { status, body } = await this.json("/reports/start/", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ kind: "demo", steps, step_seconds: stepSeconds }),
    });
    if (status !== 200) {
      throw new Error(`the demonstration job was not started: ${status} ${JSON.stringify(body)}`);
    }
    return body.job_id;
  }
}
