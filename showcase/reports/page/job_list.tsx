// The list of past jobs, newest first; the first few unfinished ones move by themselves.
import { useChannel } from "carillon/react";
import { useEffect } from "react";
import { count, moment } from "../../ui/format.ts";
import { isOver, socketOf, titleOf, type Frame, type Job } from "./api.ts";
import { ProgressBar, wordsOf } from "./job_panel.tsx";
import type { Jobs } from "./use_jobs.ts";

/** Each live row holds a socket of its own, and a browser has only so many for one site. */
const liveRows = 5;

export interface JobListProps {
  list: Jobs;
  /** The job in the address, and its live record once it is read. */
  selectedId: string | null;
  selected: Job | null;
  onSelect: (id: string) => void;
}

interface RowProps {
  job: Job;
  current: boolean;
  onSelect: (id: string) => void;
}

function Row({ job, current, onSelect }: RowProps) {
  const words = wordsOf(job.status);
  return (
    <li className={`row ${current ? "current" : ""}`} data-row={job.job_id} data-row-status={job.status}>
      <a
        href={`/reports/?job=${encodeURIComponent(job.job_id)}`}
        aria-current={current ? "true" : undefined}
        onClick={(event) => {
          if (!event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0) {
            event.preventDefault();
            onSelect(job.job_id);
          }
        }}
      >
        <span className="row-title">{titleOf(job)}</span>
        <span className="row-time soft figures">{moment(job.created_at)}</span>
        <span className={`badge ${words.look}`}>
          {isOver(job.status) || job.status === "started" ? words.text : `${Math.round(job.progress)} %`}
        </span>
      </a>
      {!isOver(job.status) && <ProgressBar job={job} />}
    </li>
  );
}

function LiveRow({ onOver, ...props }: RowProps & { onOver: () => void }) {
  const { value } = useChannel<Frame | null, Frame>(socketOf(props.job.job_id), null, (_, frame) => frame);
  const job = value ? { ...props.job, status: value.status, progress: value.progress } : props.job;
  const over = isOver(job.status);
  useEffect(() => {
    if (over) {
      onOver();
    }
  }, [over]);
  return <Row {...props} job={job} />;
}

export function JobList({ list, selectedId, selected, onSelect }: JobListProps) {
  const jobs = list.jobs ?? [];
  const live = new Set(
    jobs
      .filter((job) => !isOver(job.status) && job.job_id !== selectedId)
      .slice(0, liveRows)
      .map((job) => job.job_id),
  );
  return (
    <section className="past" aria-labelledby="past">
      <h2 id="past" className="section-title">
        Reports so far
        {list.total > jobs.length && ` (the newest ${count(jobs.length)} of ${count(list.total)})`}
      </h2>
      {list.jobs === null && !list.error && <p className="soft">Reading the list.</p>}
      {list.error && jobs.length === 0 && <p className="soft">{list.error}</p>}
      {list.jobs !== null && jobs.length === 0 && (
        <p className="soft">None yet. The first one will be listed here.</p>
      )}
      {jobs.length > 0 && (
        <ol className="card rows">
          {jobs.map((job) => {
            const current = job.job_id === selectedId;
            const props = { job: current && selected ? selected : job, current, onSelect };
            return live.has(job.job_id) ? (
              <LiveRow key={job.job_id} {...props} onOver={list.refresh} />
            ) : (
              <Row key={job.job_id} {...props} />
            );
          })}
        </ol>
      )}
    </section>
  );
}
