// The public names of the client.

export { backoffDelay, ceiling, defaultBackoff, type BackoffOptions } from "./backoff.ts";
export { defaultPolicy, describeClose, type Verdict } from "./close_policy.ts";
export {
  Connection,
  type ConnectionOptions,
  type ConnectionState,
  type Opening,
  type SendOutcome,
} from "./connection.ts";
export {
  browserSignals,
  systemClock,
  type Clock,
  type Environment,
  type PageSignal,
  type PageSignals,
  type SocketConstructor,
  type SocketLike,
} from "./environment.ts";
