// The list of past jobs: read at once, again when told, and when another tab started one.
import { useCallback, useEffect, useRef, useState } from "react";
import { readJobs, RequestError, type Job } from "./api.ts";

export interface Jobs {
  /** null until the first answer. */
  jobs: Job[] | null;
  total: number;
  error: string | null;
  refresh: () => void;
  /** Tells this page and the other tabs that the list changed. */
  announce: () => void;
}

const shownAtMost = 50;

export function useJobs(): Jobs {
  const [list, setList] = useState<{ jobs: Job[] | null; total: number; error: string | null }>({
    jobs: null,
    total: 0,
    error: null,
  });
  const channel = useRef<BroadcastChannel | null>(null);

  const refresh = useCallback(async () => {
    try {
      const { count, results } = await readJobs(shownAtMost);
      setList({ jobs: results, total: count, error: null });
    } catch (error) {
      const text = error instanceof RequestError ? error.message : String(error);
      setList((before) => ({ ...before, error: text }));
    }
  }, []);

  useEffect(() => {
    void refresh();
    const others = new BroadcastChannel("carillon-reports");
    channel.current = others;
    others.onmessage = () => void refresh();
    const shown = () => document.visibilityState === "visible" && void refresh();
    document.addEventListener("visibilitychange", shown);
    return () => {
      others.close();
      document.removeEventListener("visibilitychange", shown);
    };
  }, [refresh]);

  const announce = useCallback(() => {
    channel.current?.postMessage("changed");
    void refresh();
  }, [refresh]);
  return { ...list, refresh, announce };
}
