// What a connection takes from the world around it; tests replace each part.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** The part of the standard WebSocket interface that a connection uses. */
export interface SocketLike {
  readonly readyState: number;
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | ArrayBufferLike | ArrayBufferView): void;
  close(code?: number, reason?: string): void;
}

export interface SocketConstructor {
  new (url: string, protocols?: string | string[]): SocketLike;
}

/**
 * What the browser tells about the page: `online` and `offline` are the network, `visible` is the tab shown
 * again, `wake` is a page that was frozen or a machine that slept.
 */
export type PageSignal = "online" | "offline" | "visible" | "wake";

/** Subscribes to the page's signals; gives back how to stop. */
export type PageSignals = (handler: (signal: PageSignal) => void) => () => void;

export interface Environment {
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  WebSocket: SocketConstructor;
  signals: PageSignals;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, delay) => globalThis.setTimeout(callback, delay),
  clearTimeout: (handle) => globalThis.clearTimeout(handle as ReturnType<typeof setTimeout>),
};

/** The signals of the page that this script runs in; outside a browser it never signals. */
export const browserSignals: PageSignals = (handler) => {
  if (typeof window === "undefined" || typeof document === "undefined") {
    return () => undefined;
  }
  const online = () => handler("online");
  const offline = () => handler("offline");
  const wake = () => handler("wake");
  const shown = (event: PageTransitionEvent) => {
    if (event.persisted) {
      handler("wake");
    }
  };
  const visibility = () => {
    if (document.visibilityState === "visible") {
      handler("visible");
    }
  };
  window.addEventListener("online", online);
  window.addEventListener("offline", offline);
  window.addEventListener("pageshow", shown);
  document.addEventListener("resume", wake);
  document.addEventListener("visibilitychange", visibility);
  return () => {
    window.removeEventListener("online", online);
    window.removeEventListener("offline", offline);
    window.removeEventListener("pageshow", shown);
    document.removeEventListener("resume", wake);
    document.removeEventListener("visibilitychange", visibility);
  };
};

/** What is given, completed by what the runtime has. */
export function completeEnvironment(given: Partial<Environment> = {}): Environment {
  const found = (globalThis as { WebSocket?: unknown }).WebSocket as SocketConstructor | undefined;
  const constructor = given.WebSocket ?? found;
  if (!constructor) {
    throw new Error("This runtime has no WebSocket; pass one as environment.WebSocket.");
  }
  return { clock: systemClock, random: Math.random, signals: browserSignals, ...given, WebSocket: constructor };
}

/** `/ws/x/` becomes `ws://host/ws/x/` or `wss://host/ws/x/` of the present page; whole addresses stay. */
export function absoluteAddress(url: string): string {
  if (typeof location === "undefined" || /^wss?:/.test(url)) {
    return url;
  }
  const address = new URL(url, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
}
