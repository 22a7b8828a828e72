// Starts a report: pick or drop a file and watch it leave, or start the demonstration job.
import { useEffect, useRef, useState, type DragEvent } from "react";
import { size } from "../../ui/format.ts";
import { RequestError, startDemo } from "./api.ts";
import { uploadCsv, type Upload } from "./upload.ts";

interface Sending {
  file: File;
  sent: number;
}

export interface StarterProps {
  /** Called with the new job's id. */
  onStarted: (id: string) => void;
  compact: boolean;
}

export function Starter({ onStarted, compact }: StarterProps) {
  const [sending, setSending] = useState<Sending | null>(null);
  const [failed, setFailed] = useState<{ text: string; again: () => void } | null>(null);
  const upload = useRef<Upload | null>(null);

  useEffect(() => () => upload.current?.abort(), []);
  // A closed tab would cut the upload; the browser asks first.
  useEffect(() => {
    if (!sending) {
      return;
    }
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [sending !== null]);

  const attempt = async (work: () => Promise<{ job_id: string }>, again: () => void) => {
    setFailed(null);
    try {
      onStarted((await work()).job_id);
    } catch (error) {
      if (!(error instanceof RequestError && error.code === "aborted")) {
        setFailed({ text: error instanceof Error ? error.message : String(error), again });
      }
    }
  };

  const send = (file: File): void =>
    void attempt(
      async () => {
        setSending({ file, sent: 0 });
        upload.current = uploadCsv(file, (sent) => setSending({ file, sent }));
        try {
          return await upload.current.done;
        } finally {
          upload.current = null;
          setSending(null);
        }
      },
      () => send(file),
    );
  const demo = (): void => void attempt(() => startDemo(10, 1), demo);

  return (
    <section className="starter" aria-label="New report">
      {sending ? (
        <Uploading sending={sending} onStop={() => upload.current?.abort()} />
      ) : (
        <DropZone compact={compact} onFile={send} onDemo={demo} />
      )}
      {failed && (
        <div className="notice bad" role="alert">
          <p>{failed.text}</p>
          <button type="button" className="button small" onClick={failed.again}>
            Try again
          </button>
        </div>
      )}
    </section>
  );
}

function DropZone(props: { compact: boolean; onFile: (file: File) => void; onDemo: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);

  const carriesFile = (event: DragEvent) => event.dataTransfer.types.includes("Files");
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const file = event.dataTransfer.files[0];
    if (file) {
      props.onFile(file);
    }
  };
  const drag = (event: DragEvent) => {
    if (carriesFile(event)) {
      event.preventDefault();
      setOver(true);
    }
  };
  return (
    <div
      className={`drop ${over ? "over" : ""} ${props.compact ? "compact" : ""}`}
      onDragEnter={drag}
      onDragOver={drag}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <div className="drop-words">
        <h2>{over ? "Let go to start" : props.compact ? "Another report" : "Drop a CSV file here"}</h2>
        <p className="soft">
          Comma, semicolon, tab or bar, UTF-8, any number of rows. It stays on this server.
        </p>
      </div>
      <div className="drop-actions">
        <input
          ref={input}
          type="file"
          accept=".csv,.tsv,.txt,text/csv,text/tab-separated-values,text/plain"
          className="hidden-visually"
          tabIndex={-1}
          aria-hidden="true"
          onChange={(event) => {
            const file = event.target.files?.[0];
            event.target.value = "";
            if (file) {
              props.onFile(file);
            }
          }}
        />
        <button type="button" className="button primary" onClick={() => input.current?.click()}>
          Choose a file
        </button>
        <button type="button" className="button" onClick={props.onDemo}>
          Run a ten-second demo
        </button>
      </div>
    </div>
  );
}

function Uploading({ sending, onStop }: { sending: Sending; onStop: () => void }) {
  const { file, sent } = sending;
  const share = file.size > 0 ? Math.min(1, sent / file.size) : 0;
  const words = share < 1 ? `${size(sent)} of ${size(file.size)}` : "Sent. Waiting for the server.";
  return (
    <div className="card panel" data-upload={Math.floor(share * 100)}>
      <div className="panel-head">
        <div className="panel-title">
          <h2>{file.name}</h2>
          <span className="badge accent">Uploading</span>
        </div>
        <button type="button" className="button" onClick={onStop}>
          Stop
        </button>
      </div>
      <div
        className="progress"
        role="progressbar"
        aria-label={`Upload of ${file.name}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.floor(share * 100)}
      >
        <div className="progress-bar" style={{ transform: `scaleX(${share})` }} />
      </div>
      <div className="panel-line figures">
        <span className="soft">{words}</span>
        <strong>{Math.floor(share * 100)} %</strong>
      </div>
    </div>
  );
}
