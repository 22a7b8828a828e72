// Starts a report: pick or drop a file and watch it leave, or start the demonstration job.
import { useEffect, useRef, useState } from "react";
import { size } from "../../ui/format.ts";
import type { Sender, Sending } from "./use_sender.ts";

export interface StarterProps {
  sender: Sender;
  compact: boolean;
}

export function Starter({ sender, compact }: StarterProps) {
  const { sending, failure, send, demo, stop } = sender;
  return (
    <section className="starter" aria-label="New report">
      {sending ? (
        <Uploading sending={sending} onStop={stop} />
      ) : (
        <DropZone compact={compact} onFiles={(files) => void send(files)} onDemo={demo} />
      )}
      {failure && (
        <div className="notice bad" role="alert">
          <p>{failure.text}</p>
          <button type="button" className="button small" onClick={failure.again}>
            Try again
          </button>
        </div>
      )}
    </section>
  );
}

/**
 * Files may be dropped anywhere on the page: beside the zone, the browser would leave the page to show the file.
 * True while a file is held over the page.
 */
function useDrop(onFiles: (files: File[]) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(onFiles);
  useEffect(() => {
    latest.current = onFiles;
  });
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) {
        event.preventDefault();
        setOver(true);
      }
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) {
        setOver(false); // Out of the window, not from one element to the next.
      }
    };
    const drop = (event: DragEvent) => {
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) {
        event.preventDefault();
        latest.current(files);
      }
    };
    window.addEventListener("dragover", drag);
    window.addEventListener("dragleave", leave);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragover", drag);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("drop", drop);
    };
  }, []);
  return over;
}

function DropZone(props: { compact: boolean; onFiles: (files: File[]) => void; onDemo: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  const over = useDrop(props.onFiles);
  return (
    <div className={`drop ${over ? "over" : ""} ${props.compact ? "compact" : ""}`}>
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
          multiple
          accept=".csv,.tsv,.txt,text/csv,text/tab-separated-values,text/plain"
          className="hidden-visually"
          tabIndex={-1}
          aria-hidden="true"
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            event.target.value = "";
            if (files.length > 0) {
              props.onFiles(files);
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

const ignored = () => undefined;

function Uploading({ sending, onStop }: { sending: Sending; onStop: () => void }) {
  const { file, sent, place, of } = sending;
  useDrop(ignored); // One upload at a time; the page stays all the same.
  const share = file.size > 0 ? Math.min(1, sent / file.size) : 0;
  const words = share < 1 ? `${size(sent)} of ${size(file.size)}` : "Sent. Waiting for the server.";
  return (
    <div className="card panel" data-upload={Math.floor(share * 100)}>
      <div className="panel-head">
        <div className="panel-title">
          <h2>{file.name}</h2>
          <span className="badge accent">{of > 1 ? `Uploading ${place} of ${of}` : "Uploading"}</span>
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
