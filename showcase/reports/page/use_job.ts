// One job, live: its record over HTTP, its progress over the socket, and itself back after the server was away.
import { type ConnectionState } from "carillon";
import { useConnection } from "carillon/react";
import { useCallback, useEffect, useRef, useState } from "react";
import { isOver, readJob, RequestError, socketOf, type Frame, type Job } from "./api.ts";

export interface LiveJob {
  job: Job | null;
  /** Why there is nothing to show: no such report, or not allowed to see it. */
  refusal: string | null;
  state: ConnectionState | null;
  reconnect: () => void;
  refresh: () => void;
}

const silenceUntilLook = 20_000;
const refusals: Record<number, string> = {
  401: "Sign in to see this report.",
  403: "This report belongs to somebody else.",
  404: "There is no report at this address. It may have been removed, or the address was cut.",
};

interface Known {
  id: string;
  job: Job | null;
  frame: Frame | null;
  refusal: string | null;
}

const nothing = (id: string): Known => ({ id, job: null, frame: null, refusal: null });

export function useJob(id: string): LiveJob {
  const [held, setKnown] = useState<Known>(() => nothing(id));
  const known = held.id === id ? held : nothing(id);
  const frames = useRef(0);

  const refresh = useCallback(async () => {
    const before = frames.current;
    try {
      const job = await readJob(id);
      setKnown((now) => {
        // A frame that came while the request was under way is newer than the answer.
        const frame = frames.current === before || now.id !== id ? null : now.frame;
        return { id, job, frame: frame && isOver(job.status) ? null : frame, refusal: null };
      });
    } catch (error) {
      const refusal = error instanceof RequestError ? refusals[error.status] : undefined;
      if (refusal) {
        setKnown({ ...nothing(id), refusal });
      }
      // Anything else passes: the socket says when the server is back, and its opening asks again.
    }
  }, [id]);

  const { state, reconnect } = useConnection<Frame>(socketOf(id), {
    onOpen: () => void refresh(),
    onMessage: (frame) => {
      frames.current += 1;
      setKnown((now) => ({ ...(now.id === id ? now : nothing(id)), frame }));
      if (isOver(frame.status)) {
        void refresh();
      }
    },
  });

  useEffect(() => void refresh(), [refresh]);

  const code = state?.phase === "closed" && !state.byUs ? state.code : null;
  useEffect(() => {
    if (code !== null) {
      void refresh();
    }
  }, [code, refresh]);

  const job = known.job && known.frame ? { ...known.job, ...pick(known.frame) } : known.job;
  const running = job !== null && !isOver(job.status);
  useEffect(() => {
    if (!running) {
      return;
    }
    // A dead connection may look alive for minutes; the record tells what the socket did not.
    let seen = frames.current;
    const timer = setInterval(() => {
      if (frames.current === seen) {
        void refresh();
      }
      seen = frames.current;
    }, silenceUntilLook);
    return () => clearInterval(timer);
  }, [running, refresh]);

  return { job, refusal: known.refusal, state, reconnect, refresh };
}

const pick = ({ progress, status, message }: Frame): Frame => ({ progress, status, message });
