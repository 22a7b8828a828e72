// A clock that moves only when told, and sockets whose server is the test.
import type { Clock, Environment, PageSignal, SocketLike } from "../src/environment.ts";

export class FakeClock implements Clock {
  #now = 1_000_000;
  #timers = new Map<number, { at: number; callback: () => void }>();
  #next = 1;

  now(): number {
    return this.#now;
  }
  setTimeout(callback: () => void, delay: number): number {
    this.#timers.set(this.#next, { at: this.#now + delay, callback });
    return this.#next++;
  }
  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }
  get pending(): number {
    return this.#timers.size;
  }
  /** Moves time forward and runs what falls due, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!due) {
        break;
      }
      this.#timers.delete(due[0]);
      this.#now = due[1].at;
      due[1].callback();
    }
    this.#now = end;
  }
}

export class FakeSocket implements SocketLike {
  readyState = 0;
  binaryType = "blob";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  sent: string[] = [];
  closedWith: { code: number | undefined; reason: string | undefined } | null = null;

  constructor(
    readonly url: string,
    readonly protocols?: string | string[],
  ) {}

  send(data: string | ArrayBufferLike | ArrayBufferView): void {
    if (this.readyState === 0) {
      throw new Error("InvalidStateError");
    }
    this.sent.push(String(data));
  }
  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && (code < 3000 || code > 4999)) {
      throw new Error("InvalidAccessError");
    }
    this.closedWith = { code, reason };
    this.readyState = 2;
  }

  // What the server does.
  accept(): void {
    this.readyState = 1;
    this.onopen?.({} as never);
  }
  say(message: unknown): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) } as never);
  }
  sayBinary(data: ArrayBuffer): void {
    this.onmessage?.({ data } as never);
  }
  lose(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onerror?.({} as never);
    this.onclose?.({ code, reason } as never);
  }
}

export class World {
  clock = new FakeClock();
  sockets: FakeSocket[] = [];
  /** What `random` gives next; the last value stays. */
  draws: number[] = [0.5];
  #handlers = new Set<(signal: PageSignal) => void>();

  get environment(): Environment {
    const sockets = this.sockets;
    return {
      clock: this.clock,
      random: () => (this.draws.length > 1 ? (this.draws.shift() as number) : (this.draws[0] as number)),
      WebSocket: class extends FakeSocket {
        constructor(url: string, protocols?: string | string[]) {
          super(url, protocols);
          sockets.push(this);
        }
      },
      signals: (handler) => {
        this.#handlers.add(handler);
        return () => void this.#handlers.delete(handler);
      },
    };
  }
  get last(): FakeSocket {
    const socket = this.sockets[this.sockets.length - 1];
    if (!socket) {
      throw new Error("no socket yet");
    }
    return socket;
  }
  get listening(): number {
    return this.#handlers.size;
  }
  signal(signal: PageSignal): void {
    for (const handler of [...this.#handlers]) {
      handler(signal);
    }
  }
}
