// What leaves this page: files, one after the other, and demonstration jobs.
import { useEffect, useRef, useState } from "react";
import { RequestError, startDemo } from "./api.ts";
import { uploadCsv, type Upload } from "./upload.ts";

export interface Sending {
  file: File;
  sent: number;
  /** Its place among the files given together, from 1. */
  place: number;
  of: number;
}

export interface Failure {
  text: string;
  again: () => void;
}

export interface Sender {
  /** The file under way. */
  sending: Sending | null;
  failure: Failure | null;
  /** Sends files one after the other; each becomes a job. */
  send: (files: File[]) => Promise<void>;
  demo: () => void;
  stop: () => void;
}

/** `onStarted` is called with each new job's id. Held by the page itself: an upload outlives what the page shows. */
export function useSender(onStarted: (id: string) => void): Sender {
  const [sending, setSending] = useState<Sending | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const upload = useRef<Upload | null>(null);
  const busy = sending !== null;

  useEffect(() => () => upload.current?.abort(), []);
  // A closed tab would cut the upload; the browser asks first.
  useEffect(() => {
    if (!busy) {
      return;
    }
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [busy]);

  const attempt = async (work: () => Promise<{ job_id: string }>, again: () => void): Promise<boolean> => {
    setFailure(null);
    try {
      onStarted((await work()).job_id);
      return true;
    } catch (error) {
      if (!(error instanceof RequestError && error.code === "aborted")) {
        setFailure({ text: error instanceof Error ? error.message : String(error), again });
      }
      return false;
    }
  };
  const sendOne = async (file: File, place: number, of: number) => {
    setSending({ file, sent: 0, place, of });
    upload.current = uploadCsv(file, (sent) => setSending({ file, sent, place, of }));
    try {
      return await upload.current.done;
    } finally {
      upload.current = null;
    }
  };
  const send = async (files: File[]): Promise<void> => {
    for (const [i, file] of files.entries()) {
      const rest = () => void send(files.slice(i));
      if (!(await attempt(() => sendOne(file, i + 1, files.length), rest))) {
        break;
      }
    }
    setSending(null);
  };
  const demo = (): void => void attempt(() => startDemo(10, 1), demo);
  return { sending, failure, send, demo, stop: () => upload.current?.abort() };
}
