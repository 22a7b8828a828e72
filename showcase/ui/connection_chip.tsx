// Says in a few words how the page is connected, and offers to try at once when it is not.
import { describeClose, type ConnectionState } from "carillon";
import { useEffect, useState } from "react";

/** What the page knows of its way to the server. */
export type Link =
  | { kind: "connecting" }
  | { kind: "open"; words?: string }
  | { kind: "waiting"; retryAt: number; retry: () => void }
  | { kind: "ended"; words: string };

/** The link that a live connection stands for. */
export function linkOf(state: ConnectionState | null, retry: () => void): Link {
  switch (state?.phase) {
    case "open":
      return { kind: "open" };
    case "waiting":
      return { kind: "waiting", retryAt: state.retryAt, retry };
    case "closed":
      return { kind: "ended", words: describeClose(state.code) };
    default:
      return { kind: "connecting" };
  }
}

function useSecondsUntil(time: number | null): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (time === null) {
      return;
    }
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [time]);
  return time === null ? 0 : Math.max(0, Math.ceil((time - now) / 1000));
}

const looks = { connecting: "busy", open: "open", waiting: "away", ended: "" } as const;

export function ConnectionChip({ link }: { link: Link }) {
  const seconds = useSecondsUntil(link.kind === "waiting" ? link.retryAt : null);
  // Read aloud when the kind changes, not at every second of the countdown.
  const spoken = { connecting: "Connecting", open: "Connected", waiting: "Connection lost", ended: "Not connected" };
  return (
    <div className={`connection ${looks[link.kind]}`} data-connection={link.kind}>
      <span className="hidden-visually" role="status">
        {spoken[link.kind]}
      </span>
      <span className="dot" aria-hidden="true" />
      {link.kind === "connecting" && <span aria-hidden="true">Connecting</span>}
      {link.kind === "open" && <span aria-hidden="true">{link.words ?? "Live"}</span>}
      {link.kind === "ended" && (
        <span title={link.words}>
          Not connected<span className="wide-only">: {link.words}</span>
        </span>
      )}
      {link.kind === "waiting" && (
        <>
          <span aria-hidden="true" className="figures">
            <span className="wide-only">Connection lost. </span>
            {seconds > 0 ? `Retry in ${seconds} s` : "Trying again"}
          </span>
          <button type="button" className="button bare small" onClick={link.retry}>
            Try now
          </button>
        </>
      )}
    </div>
  );
}
