// How long a job will still take, judged by the pace that this page has seen.
import { useRef } from "react";
import { isOver, type Job } from "./api.ts";

const leastSeen = 3;
const leastWatched = 2_000;

/** Milliseconds, or null while there is too little to judge by. */
export function useRemaining(job: Job | null): number | null {
  const began = useRef<{ id: string; progress: number; at: number; last: number } | null>(null);
  if (!job || isOver(job.status) || job.status === "started") {
    began.current = null;
    return null;
  }
  const now = performance.now();
  // Progress that went back is a new attempt, which has its own pace.
  if (!began.current || began.current.id !== job.job_id || job.progress < began.current.last) {
    began.current = { id: job.job_id, progress: job.progress, at: now, last: job.progress };
  }
  began.current.last = job.progress;
  const done = job.progress - began.current.progress;
  const watched = now - began.current.at;
  return done < leastSeen || watched < leastWatched ? null : (watched / done) * (100 - job.progress);
}
