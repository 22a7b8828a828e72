// The reports system over HTTP: its types, its calls, and one error type for all that can go wrong.

export type Status = "started" | "in_progress" | "completed" | "failed" | "cancelled";

export interface Job {
  job_id: string;
  kind: string;
  filename: string | null;
  status: Status;
  progress: number;
  message: string;
  created_at: string;
  finished_at: string | null;
  error: string | { message?: string } | null;
}

/** What the socket of a job says. */
export interface Frame {
  progress: number;
  status: Status;
  message: string;
}

/** Dates and datetimes have text edges, numbers have numbers. */
export type Edge = number | string;

export interface Bin {
  from: Edge;
  to: Edge;
  count: number;
}

export interface Column {
  name: string;
  type: string;
  count: number;
  missing: number;
  distinct: number;
  distinct_is_exact: boolean;
  min?: Edge | null;
  max?: Edge | null;
  mean?: Edge | null;
  stddev?: number | null;
  median?: Edge | null;
  median_is_exact?: boolean;
  q1?: Edge | null;
  q3?: Edge | null;
  histogram?: Bin[] | null;
  top?: { value: unknown; count: number }[] | null;
  top_is_exact?: boolean;
}

export interface Report {
  filename: string;
  bytes: number;
  rows: number;
  bad_rows?: number;
  first_bad_row?: { line: number; reason: string };
  delimiter?: string;
  columns: Column[];
}

/** A request that failed: the server's envelope, or a server that did not answer. */
export class RequestError extends Error {
  constructor(
    /** HTTP status; 0 when the server did not answer. */
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export const unreachable = () =>
  new RequestError(0, "unreachable", "The server does not answer. Nothing was lost here; try again in a moment.");

/** The error that an answer's body describes. */
export function errorOf(status: number, body: string): RequestError {
  try {
    const { error } = JSON.parse(body) as { error: { code: string; message: string } };
    return new RequestError(status, error.code, error.message);
  } catch {
    return new RequestError(status, "http", `The server answered with status ${status}.`);
  }
}

async function request<T>(address: string, init: RequestInit = {}): Promise<T> {
  let answer: Response;
  let body: string;
  const headers = { Accept: "application/json", ...init.headers };
  try {
    answer = await fetch(address, { cache: "no-store", ...init, headers });
    body = await answer.text();
  } catch {
    throw unreachable();
  }
  if (!answer.ok) {
    throw errorOf(answer.status, body);
  }
  return JSON.parse(body) as T;
}

const pathOf = (id: string) => `/reports/${encodeURIComponent(id)}/`;

export const socketOf = (id: string) => `/ws${pathOf(id)}`;
export const resultPage = (id: string) => `${pathOf(id)}result.html`;
export const resultData = (id: string) => `${pathOf(id)}result.json`;

export const readJob = (id: string) => request<Job>(pathOf(id));
export const readReport = (id: string) => request<Report>(resultData(id));
export const readJobs = (limit: number) => request<{ count: number; results: Job[] }>(`/reports/?limit=${limit}`);
export const cancelJob = (id: string) => request<unknown>(`${pathOf(id)}cancel/`, { method: "POST" });

export function startDemo(steps: number, stepSeconds: number): Promise<{ job_id: string }> {
  return request("/reports/start/", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ kind: "demo", steps, step_seconds: stepSeconds }),
  });
}

export const isOver = (status: Status) => status === "completed" || status === "failed" || status === "cancelled";

export function errorText(job: Job): string {
  const error = typeof job.error === "string" ? job.error : job.error?.message;
  return error || job.message || "The report failed.";
}

export function titleOf(job: Pick<Job, "kind" | "filename">): string {
  return job.filename || (job.kind === "demo" ? "Demonstration job" : "Unnamed file");
}
