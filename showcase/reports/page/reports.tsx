// The page of the reports system: start, watch, read. The address carries the job, so every tab shows the same.
import { StrictMode, useCallback, useEffect, useState, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import "../../ui/tokens.css";
import "../../ui/base.css";
import "./reports.css";
import "./columns.css";
import { linkOf } from "../../ui/connection_chip.tsx";
import { useServerHealth } from "../../ui/server_health.ts";
import { Shell } from "../../ui/shell.tsx";
import { isOver, titleOf, type Job } from "./api.ts";
import { JobList } from "./job_list.tsx";
import { JobPanel } from "./job_panel.tsx";
import { Starter } from "./starter.tsx";
import { useJob } from "./use_job.ts";
import { useJobs, type Jobs } from "./use_jobs.ts";
import { useSender, type Sender } from "./use_sender.ts";

const jobInAddress = () => new URLSearchParams(location.search).get("job");

function useSelectedJob(): [string | null, (id: string | null) => void] {
  const [id, setId] = useState(jobInAddress);
  useEffect(() => {
    const moved = () => setId(jobInAddress());
    window.addEventListener("popstate", moved);
    return () => window.removeEventListener("popstate", moved);
  }, []);
  const select = useCallback((next: string | null) => {
    history.pushState(null, "", next ? `/reports/?job=${encodeURIComponent(next)}` : "/reports/");
    setId(next);
    window.scrollTo({ top: 0 });
  }, []);
  return [id, select];
}

function titleFor(job: Job | null): string {
  if (!job) {
    return "Reports · Carillon";
  }
  const progress = isOver(job.status) ? "" : `${Math.round(job.progress)} % · `;
  return `${progress}${titleOf(job)} · Carillon`;
}

interface ViewProps {
  list: Jobs;
  sender: Sender;
  select: (id: string | null) => void;
}

interface LayoutProps extends ViewProps {
  id: string | null;
  job: Job | null;
  panel: ReactNode;
}

function Layout({ id, job, panel, list, sender, select }: LayoutProps) {
  useEffect(() => {
    document.title = titleFor(job);
  }, [job]);
  return (
    <div className="reports">
      <div className="intro">
        <h1>Reports</h1>
        <p className="soft">Give a CSV file; a worker reads it while you watch, here and in every other tab.</p>
      </div>
      {panel}
      <Starter sender={sender} compact={panel !== null} />
      <JobList list={list} selectedId={id} selected={job} onSelect={select} />
    </div>
  );
}

function WithoutJob(view: ViewProps) {
  const link = useServerHealth(true, view.list.refresh);
  return (
    <Shell here="/reports/" link={link}>
      <Layout id={null} job={null} panel={null} {...view} />
    </Shell>
  );
}

function WithJob({ id, ...view }: ViewProps & { id: string }) {
  const { list } = view;
  const live = useJob(id);
  const openings = live.state?.phase === "open" ? live.state.openings : 0;
  useEffect(() => {
    if (openings > 1) {
      list.refresh();
    }
  }, [openings]);
  return (
    <Shell here="/reports/" link={linkOf(live.state, live.reconnect)}>
      <Layout id={id} job={live.job} panel={<JobPanel live={live} onOver={list.announce} />} {...view} />
    </Shell>
  );
}

function Reports() {
  const [id, select] = useSelectedJob();
  const list = useJobs();
  const sender = useSender((fresh) => {
    select(fresh);
    list.announce();
  });
  const view = { list, sender, select };
  return id ? <WithJob id={id} {...view} /> : <WithoutJob {...view} />;
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Reports />
    </StrictMode>,
  );
}
