// One WebSocket that comes back: states, reconnection, a bounded queue and the watch for silent connections.

import { backoffDelay, defaultBackoff, type BackoffOptions } from "./backoff.ts";
import { defaultPolicy, type Verdict } from "./close_policy.ts";
import {
  absoluteAddress,
  completeEnvironment,
  type Environment,
  type PageSignal,
  type SocketLike,
} from "./environment.ts";

export type ConnectionState =
  | { readonly phase: "connecting"; readonly failures: number }
  | { readonly phase: "open"; readonly since: number; readonly openings: number }
  | {
      readonly phase: "waiting";
      readonly failures: number;
      /** When the next attempt starts, in milliseconds since the epoch. */
      readonly retryAt: number;
      readonly code: number;
      readonly reason: string;
    }
  | { readonly phase: "closed"; readonly code: number; readonly reason: string; readonly byUs: boolean };

/** `sent`: handed to the browser. `queued`: leaves when the connection is open. `refused`: queue full, or closed. */
export type SendOutcome = "sent" | "queued" | "refused";

export interface Opening<Out> {
  /** True for every opening but the first. */
  readonly reopened: boolean;
  /** Sends on this opening, ahead of whatever waits in the queue. */
  send(message: Out): void;
}

export interface ConnectionOptions<In, Out> {
  protocols?: string | string[];
  /** Text to message; what it throws goes to `onError`. Default: `JSON.parse`. */
  decode?: (text: string) => In;
  /** Message to text. Default: `JSON.stringify`. */
  encode?: (message: Out) => string;
  onMessage?: (message: In) => void;
  /** Binary messages; without it they are ignored. */
  onBinary?: (data: ArrayBuffer) => void;
  /** Called at every opening, the first too: greet and subscribe here. */
  onOpen?: (opening: Opening<Out>) => void;
  /** A message that could not be decoded. The connection stays open. */
  onError?: (error: unknown) => void;
  /** Messages kept while the connection is away. Default 100; 0 keeps none. */
  queueLimit?: number;
  backoff?: Partial<BackoffOptions>;
  policy?: (code: number, reason: string) => Verdict;
  /** Milliseconds an attempt may take until it is given up. Default 10,000. */
  connectTimeout?: number;
  /** After this many milliseconds open, failures are forgotten. Default 10,000. */
  stableAfter?: number;
  /** Milliseconds of silence after which the connection is doubted. Default 0: never. */
  staleAfter?: number;
  /** A message the server answers. A doubted connection sends it and waits; without it, it is opened anew. */
  probe?: () => Out;
  /** Milliseconds to wait for any message after the probe. Default 5,000. */
  probeTimeout?: number;
  environment?: Partial<Environment>;
}

const soonWindow = { base: 3_000, cap: 3_000, floor: 200 };
const laterFloor = 5_000;

export class Connection<In = unknown, Out = unknown> {
  readonly url: string;

  #state: ConnectionState = { phase: "connecting", failures: 0 };
  #listeners = new Set<(state: ConnectionState) => void>();
  #options: ConnectionOptions<In, Out>;
  #environment: Environment;
  #backoff: BackoffOptions;
  #socket: SocketLike | null = null;
  #queue: string[] = [];
  #failures = 0;
  #openings = 0;
  #lastHeard = 0;
  #attemptTimer: unknown = null;
  #stableTimer: unknown = null;
  #staleTimer: unknown = null;
  #stopSignals: () => void;

  /** Connects at once. `url` may be a path of the present site. */
  constructor(url: string, options: ConnectionOptions<In, Out> = {}) {
    this.url = absoluteAddress(url);
    this.#options = options;
    this.#environment = completeEnvironment(options.environment);
    this.#backoff = { ...defaultBackoff, ...options.backoff };
    this.#stopSignals = this.#environment.signals((signal) => this.#onSignal(signal));
    this.#attempt();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Messages that wait for the connection. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Calls the listener after every change of state; gives back how to stop. An arrow, so that it can be passed on. */
  readonly subscribe = (listener: (state: ConnectionState) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /**
   * Sends now, or keeps the message until the connection is open. What was `sent` into a connection that dies
   * may be lost: a message that must arrive needs an answer from the server.
   */
  send(message: Out): SendOutcome {
    const text = this.#encode(message);
    if (this.#state.phase === "open" && this.#transmit(text)) {
      return "sent";
    }
    if (this.#state.phase === "closed" || this.#queue.length >= (this.#options.queueLimit ?? 100)) {
      return "refused";
    }
    this.#queue.push(text);
    return "queued";
  }

  /** Ends the connection for good and drops the queue. `reconnect` can open it again. */
  close(code = 1000, reason = ""): void {
    if (this.#state.phase === "closed") {
      return;
    }
    this.#drop(code, reason);
    this.#finish({ phase: "closed", code, reason, byUs: true });
  }

  /** Starts an attempt at once, whatever the state: a "try now" button, or new credentials after 4401. */
  reconnect(): void {
    if (this.#state.phase === "closed") {
      this.#stopSignals = this.#environment.signals((signal) => this.#onSignal(signal));
    }
    this.#failures = 0;
    this.#drop(1000, "reconnect");
    this.#attempt();
  }

  #encode(message: Out): string {
    return this.#options.encode ? this.#options.encode(message) : JSON.stringify(message);
  }

  #attempt(): void {
    this.#clearTimers();
    let socket: SocketLike;
    try {
      socket = new this.#environment.WebSocket(this.url, this.#options.protocols);
    } catch (error) {
      // A wrong address throws; it will not become right by trying again.
      this.#finish({ phase: "closed", code: 1006, reason: String(error), byUs: false });
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#mine(socket) && this.#onOpen(socket);
    socket.onmessage = (event: { data: unknown }) => this.#mine(socket) && this.#onData(event.data);
    socket.onclose = (event: { code: number; reason: string }) =>
      this.#mine(socket) && this.#onClose(event.code, event.reason);
    socket.onerror = () => undefined; // A close event follows every error event.
    this.#attemptTimer = this.#later(this.#options.connectTimeout ?? 10_000, () => {
      this.#drop(1000, "timeout");
      this.#onClose(1006, "the attempt took too long");
    });
    this.#set({ phase: "connecting", failures: this.#failures });
  }

  #mine(socket: SocketLike): boolean {
    return this.#socket === socket;
  }

  #onOpen(socket: SocketLike): void {
    this.#clearTimers();
    this.#openings += 1;
    this.#heard();
    this.#stableTimer = this.#later(this.#options.stableAfter ?? 10_000, () => {
      this.#failures = 0;
    });
    const opening: Opening<Out> = {
      reopened: this.#openings > 1,
      send: (message) => void (this.#mine(socket) && this.#transmit(this.#encode(message))),
    };
    try {
      this.#options.onOpen?.(opening);
    } finally {
      // The greeting may have closed the connection, or thrown: the connection is open all the same.
      if (this.#mine(socket)) {
        this.#set({ phase: "open", since: this.#environment.clock.now(), openings: this.#openings });
        this.#flush();
      }
    }
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#state.phase === "open") {
      const text = this.#queue[0] as string;
      if (!this.#transmit(text)) {
        return;
      }
      this.#queue.shift();
    }
  }

  #transmit(text: string): boolean {
    // A socket may already be closing while its close event is still on the way.
    if (!this.#socket || this.#socket.readyState !== 1) {
      return false;
    }
    this.#socket.send(text);
    return true;
  }

  #onData(data: unknown): void {
    this.#heard();
    if (typeof data !== "string") {
      if (data instanceof ArrayBuffer) {
        this.#options.onBinary?.(data);
      }
      return;
    }
    let message: In;
    try {
      message = this.#options.decode ? this.#options.decode(data) : (JSON.parse(data) as In);
    } catch (error) {
      this.#options.onError?.(error);
      return;
    }
    this.#options.onMessage?.(message);
  }

  #onClose(code: number, reason: string): void {
    this.#socket = null;
    this.#clearTimers();
    const verdict = (this.#options.policy ?? defaultPolicy)(code, reason);
    if (verdict === "final") {
      this.#finish({ phase: "closed", code, reason, byUs: false });
      return;
    }
    this.#failures += 1;
    const delay = this.#delay(verdict);
    this.#attemptTimer = this.#later(delay, () => this.#attempt());
    const retryAt = this.#environment.clock.now() + delay;
    this.#set({ phase: "waiting", failures: this.#failures, retryAt, code, reason });
  }

  #delay(verdict: Verdict): number {
    const random = this.#environment.random;
    if (verdict === "soon" && this.#failures === 1) {
      return backoffDelay(1, random, soonWindow);
    }
    const wait = backoffDelay(this.#failures, random, this.#backoff);
    return verdict === "later" ? Math.max(wait, Math.round(laterFloor * (1 + random()))) : wait;
  }

  #onSignal(signal: PageSignal): void {
    if (this.#state.phase === "waiting") {
      if (signal !== "offline") {
        this.#attempt();
      }
      return;
    }
    if (this.#state.phase !== "open" || signal === "offline") {
      // A page may well talk to its own machine without a network, so "offline" alone ends nothing.
      return;
    }
    const silent = this.#environment.clock.now() - this.#lastHeard;
    const limit = this.#options.staleAfter ?? 0;
    if (signal !== "visible" || (limit > 0 && silent >= limit)) {
      this.#doubt();
    }
  }

  #heard(): void {
    this.#lastHeard = this.#environment.clock.now();
    const limit = this.#options.staleAfter ?? 0;
    if (limit > 0 || this.#staleTimer !== null) {
      this.#cancel(this.#staleTimer);
      this.#staleTimer = limit > 0 ? this.#later(limit, () => this.#doubt()) : null;
    }
  }

  #doubt(): void {
    this.#cancel(this.#staleTimer);
    if (this.#options.probe && this.#transmit(this.#encode(this.#options.probe()))) {
      this.#staleTimer = this.#later(this.#options.probeTimeout ?? 5_000, () => this.#replace());
    } else {
      this.#replace();
    }
  }

  /** Leaves a socket that seems dead without waiting for its closing handshake, which may take a minute. */
  #replace(): void {
    this.#drop(1000, "silent");
    this.#attempt();
  }

  /** From here on the socket's events are no longer ours. */
  #drop(code: number, reason: string): void {
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      try {
        socket.close(code, reason);
      } catch {
        socket.close(); // A code that applications may not send, such as 1001.
      }
    }
  }

  #finish(state: ConnectionState): void {
    this.#clearTimers();
    this.#stopSignals();
    this.#queue = [];
    this.#set(state);
  }

  #set(state: ConnectionState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) {
      listener(state);
    }
  }

  #later(delay: number, callback: () => void): unknown {
    return this.#environment.clock.setTimeout(callback, delay);
  }

  #cancel(timer: unknown): void {
    if (timer !== null) {
      this.#environment.clock.clearTimeout(timer);
    }
  }

  #clearTimers(): void {
    this.#cancel(this.#attemptTimer);
    this.#cancel(this.#stableTimer);
    this.#cancel(this.#staleTimer);
    this.#attemptTimer = this.#stableTimer = this.#staleTimer = null;
  }
}
