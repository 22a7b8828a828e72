// React hooks on the client: a connection bound to a component, and a value folded from its messages.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Connection, type ConnectionOptions, type ConnectionState, type SendOutcome } from "./connection.ts";

export interface UseConnection<Out> {
  /** The state of the connection; null while there is no address. */
  state: ConnectionState | null;
  send(message: Out): SendOutcome;
  /** Tries at once. */
  reconnect(): void;
}

const noSubscription = () => () => undefined;

/**
 * Keeps one connection open while the component is mounted; null as address means none. A new address closes
 * the old connection. The handlers may change at every render; the other options count when it is opened.
 */
export function useConnection<In = unknown, Out = unknown>(
  url: string | null,
  options: ConnectionOptions<In, Out> = {},
): UseConnection<Out> {
  const latest = useRef(options);
  const [connection, setConnection] = useState<Connection<In, Out> | null>(null);

  useEffect(() => {
    latest.current = options;
  });

  useEffect(() => {
    if (url === null) {
      setConnection(null);
      return;
    }
    const opened = new Connection<In, Out>(url, {
      ...latest.current,
      onMessage: (message) => latest.current.onMessage?.(message),
      onOpen: (opening) => latest.current.onOpen?.(opening),
      onError: (error) => latest.current.onError?.(error),
    });
    setConnection(opened);
    return () => opened.close();
  }, [url]);

  // Between a new address and its effect the old connection is still here; it must not speak for the new one.
  const present = connection !== null && url !== null ? connection : null;
  const state = useSyncExternalStore(
    present?.subscribe ?? noSubscription,
    () => present?.state ?? null,
    () => null,
  );
  const send = useCallback((message: Out): SendOutcome => present?.send(message) ?? "refused", [present]);
  const reconnect = useCallback(() => present?.reconnect(), [present]);
  return { state, send, reconnect };
}

export interface UseChannel<Value, Out> extends UseConnection<Out> {
  value: Value;
}

/**
 * A value folded from the messages of one address: `reduce(value, message)` gives the next value. The value
 * starts again at `initial` when the address changes, and is kept while the connection is away.
 */
export function useChannel<Value, In = unknown, Out = unknown>(
  url: string | null,
  initial: Value,
  reduce: (value: Value, message: In) => Value,
  options: Omit<ConnectionOptions<In, Out>, "onMessage"> = {},
): UseChannel<Value, Out> {
  const [held, setHeld] = useState({ url, value: initial });
  const connection = useConnection<In, Out>(url, {
    ...options,
    onMessage: (message) =>
      setHeld((before) => ({ url, value: reduce(before.url === url ? before.value : initial, message) })),
  });
  return { ...connection, value: held.url === url ? held.value : initial };
}
