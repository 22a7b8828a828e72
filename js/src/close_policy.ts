// What a close code means for the connection: come back, come back later, or stay away.

/**
 * - `backoff`: come back after exponential back-off with full jitter;
 * - `soon`: the server restarts: come back within a few seconds, spread at random;
 * - `later`: the server is overloaded: the wait starts at five seconds;
 * - `final`: coming back cannot help; the connection is closed for good.
 */
export type Verdict = "backoff" | "soon" | "later" | "final";

/**
 * The default policy. 1000 is a server that ended the conversation on purpose. 1008 is a policy that will
 * refuse the next attempt too. 44xx repeat the HTTP status 4xx, so all but "timeout", "too early" and "too many"
 * are final; 4408 (too slow) is a client that fell behind and may catch up.
 */
export function defaultPolicy(code: number): Verdict {
  switch (code) {
    case 1000:
    case 1008:
      return "final";
    case 1012:
      return "soon";
    case 1013:
    case 4429:
      return "later";
    case 4408:
    case 4425:
      return "backoff";
    default:
      return code >= 4400 && code <= 4499 ? "final" : "backoff";
  }
}

const words: Readonly<Record<number, string>> = {
  1000: "the conversation is over",
  1001: "the server went away",
  1005: "closed without a code",
  1006: "the connection was lost",
  1007: "a message was not valid text",
  1008: "not allowed by the server's policy",
  1009: "a message was too big",
  1011: "the server failed",
  1012: "the server is restarting",
  1013: "the server is busy",
  4401: "not signed in",
  4403: "not allowed",
  4404: "does not exist",
  4408: "too slow to keep up",
};

/** A short phrase for a close code, for people. */
export function describeClose(code: number): string {
  return words[code] ?? `closed with code ${code}`;
}
