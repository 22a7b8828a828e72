// The way to the server for pages without a socket: asks /healthz now and then, and backs off while it is away.
import { backoffDelay } from "carillon";
import { useEffect, useRef, useState } from "react";
import type { Link } from "./connection_chip.tsx";

const calmInterval = 20_000;
const answerTimeout = 5_000;

async function isAlive(): Promise<boolean> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), answerTimeout);
  try {
    return (await fetch("/healthz", { signal: stop.signal, cache: "no-store" })).ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** `enabled` false asks nothing. `onReturn` is called when the server answers after it was away. */
export function useServerHealth(enabled: boolean, onReturn?: () => void): Link {
  const [link, setLink] = useState<Link>({ kind: "connecting" });
  const returned = useRef(onReturn);
  useEffect(() => {
    returned.current = onReturn;
  });

  useEffect(() => {
    if (!enabled) {
      return;
    }
    let failures = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let gone = false;
    const ask = async () => {
      clearTimeout(timer);
      const alive = await isAlive();
      if (gone) {
        return;
      }
      if (alive && failures > 0) {
        returned.current?.();
      }
      failures = alive ? 0 : failures + 1;
      const delay = alive ? calmInterval : backoffDelay(failures, Math.random);
      const away: Link = { kind: "waiting", retryAt: Date.now() + delay, retry: ask };
      setLink(alive ? { kind: "open", words: "Connected" } : away);
      clearTimeout(timer);
      timer = setTimeout(ask, delay);
    };
    const shown = () => document.visibilityState === "visible" && void ask();
    void ask();
    window.addEventListener("online", ask);
    document.addEventListener("visibilitychange", shown);
    return () => {
      gone = true;
      clearTimeout(timer);
      window.removeEventListener("online", ask);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [enabled]);
  return link;
}
