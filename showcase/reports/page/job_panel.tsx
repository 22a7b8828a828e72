// The job in the page's address: title, status, live bar, cancel, and the report when it is there.
import { useCallback, useEffect, useRef, useState } from "react";
import { duration, moment } from "../../ui/format.ts";
import {
  cancelJob,
  errorText,
  isOver,
  readReport,
  RequestError,
  titleOf,
  type Job,
  type Report,
  type Status,
} from "./api.ts";
import { ReportView } from "./report_view.tsx";
import type { LiveJob } from "./use_job.ts";
import { useRemaining } from "./use_remaining.ts";

export const statusWords: Record<Status, { text: string; look: string }> = {
  started: { text: "Waiting", look: "bronze" },
  in_progress: { text: "Running", look: "accent" },
  completed: { text: "Completed", look: "good" },
  failed: { text: "Failed", look: "bad" },
  cancelled: { text: "Cancelled", look: "" },
};

/** Every status of the contract has words; one that is not known yet shows as it is. */
export const wordsOf = (status: Status) => statusWords[status] ?? { text: status, look: "" };

export function ProgressBar({ job }: { job: Job }) {
  const progress = Math.max(0, Math.min(100, job.progress));
  const look = job.status === "failed" || job.status === "cancelled" ? job.status : "";
  return (
    <div
      className={`progress ${look} ${job.status === "started" ? "waiting" : ""}`}
      role="progressbar"
      aria-label={`Progress of ${titleOf(job)}`}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(progress)}
    >
      <div className="progress-bar" style={{ transform: `scaleX(${progress / 100})` }} />
    </div>
  );
}

/** Speaks a change of status, and every quarter of the way. */
function Announcer({ job }: { job: Job }) {
  const quarter = Math.floor(job.progress / 25) * 25;
  const text = isOver(job.status) ? wordsOf(job.status).text : `${wordsOf(job.status).text}, ${quarter} percent`;
  return (
    <span className="hidden-visually" role="status">
      {text}
    </span>
  );
}

function useCancel(job: Job | null, refresh: () => void) {
  const [asked, setAsked] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const cancel = useCallback(async () => {
    if (!job) {
      return;
    }
    setAsked(job.job_id);
    setError(null);
    try {
      await cancelJob(job.job_id);
    } catch (reason) {
      // 409: it ended by itself in the meantime, which the record will say.
      if (!(reason instanceof RequestError && reason.status === 409)) {
        setError(reason instanceof Error ? reason.message : String(reason));
        setAsked(null);
      }
    }
    refresh();
  }, [job?.job_id, refresh]);
  return { cancelling: asked !== null && asked === job?.job_id, error, cancel };
}

function useReport(job: Job | null) {
  const wanted = job?.status === "completed" && job.kind !== "demo" ? job.job_id : null;
  const [held, setHeld] = useState<{ id: string; report: Report | null; error: string | null } | null>(null);
  const load = useCallback(async (id: string) => {
    setHeld({ id, report: null, error: null });
    try {
      const report = await readReport(id);
      setHeld((now) => (now?.id === id ? { id, report, error: null } : now));
    } catch (reason) {
      const error = reason instanceof Error ? reason.message : String(reason);
      setHeld((now) => (now?.id === id ? { id, report: null, error } : now));
    }
  }, []);
  useEffect(() => {
    if (wanted) {
      void load(wanted);
    }
  }, [wanted, load]);
  const current = held && held.id === wanted ? held : null;
  return { wanted, report: current?.report ?? null, error: current?.error ?? null, load };
}

function Times({ job }: { job: Job }) {
  const took =
    job.finished_at && isOver(job.status)
      ? ` · took ${duration(new Date(job.finished_at).getTime() - new Date(job.created_at).getTime())}`
      : "";
  return (
    <span className="soft">
      Started {moment(job.created_at)}
      {took}
    </span>
  );
}

export interface JobPanelProps {
  live: LiveJob;
  /** Called once when the job ends while it is watched. */
  onOver: () => void;
}

export function JobPanel({ live, onOver }: JobPanelProps) {
  const { job, refusal, refresh } = live;
  const { cancelling, error, cancel } = useCancel(job, refresh);
  const { wanted, report, error: reportError, load } = useReport(job);
  const remaining = useRemaining(job);
  const over = job !== null && isOver(job.status);
  const wasOver = useRef<boolean | null>(null);
  useEffect(() => {
    if (job && wasOver.current === false && over) {
      onOver();
    }
    wasOver.current = job ? over : null;
  }, [job?.job_id, over]);

  if (refusal) {
    return (
      <div className="card panel" data-job-status="refused">
        <h2>No report here</h2>
        <p className="soft">{refusal}</p>
      </div>
    );
  }
  if (!job) {
    return <div className="card panel panel-empty" aria-busy="true" aria-label="Reading the report" />;
  }
  const words = wordsOf(job.status);
  return (
    <>
      <section className="card panel" data-job-status={job.status} data-job-progress={job.progress} aria-label="Report">
        <div className="panel-head">
          <div className="panel-title">
            <h2>{titleOf(job)}</h2>
            <span className={`badge ${words.look}`}>{words.text}</span>
          </div>
          {!over && (
            <button type="button" className="button danger" disabled={cancelling} onClick={cancel}>
              {cancelling ? "Cancelling" : "Cancel"}
            </button>
          )}
        </div>
        <ProgressBar job={job} />
        <div className="panel-line figures">
          <span className="panel-message">{job.status === "failed" ? "" : job.message}</span>
          {remaining !== null && <span className="soft">about {duration(remaining)} left</span>}
          <strong>{Math.round(job.progress)} %</strong>
        </div>
        {job.status === "failed" && (
          <div className="notice bad" role="alert">
            <p>{errorText(job)}</p>
          </div>
        )}
        {error && (
          <div className="notice bad" role="alert">
            <p>{error}</p>
          </div>
        )}
        <div className="panel-line small">
          <Times job={job} />
          <span className="soft panel-id">
            <code>{job.job_id}</code>
          </span>
        </div>
        <Announcer job={job} />
      </section>
      {reportError && wanted && (
        <div className="notice bad" role="alert">
          <p>The report could not be read. {reportError}</p>
          <button type="button" className="button small" onClick={() => void load(wanted)}>
            Try again
          </button>
        </div>
      )}
      {report && wanted && <ReportView id={wanted} report={report} />}
    </>
  );
}
