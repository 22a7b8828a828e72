// Uploads a file with progress. XMLHttpRequest, since fetch does not report how much of a body has left.
import { errorOf, RequestError, unreachable } from "./api.ts";

/** A file that was moved or changed since it was chosen fails just as an absent server does. */
async function whyItBroke(file: File): Promise<RequestError> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return unreachable();
  } catch {
    return new RequestError(0, "unreadable", "The file was moved or changed. Choose it again.");
  }
}

export interface Upload {
  done: Promise<{ job_id: string }>;
  abort(): void;
}

/** `onProgress` gets bytes sent. An aborted upload rejects with code `aborted`. */
export function uploadCsv(file: File, onProgress: (sent: number) => void): Upload {
  const request = new XMLHttpRequest();
  const done = new Promise<{ job_id: string }>((resolve, reject) => {
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) {
        resolve(JSON.parse(request.responseText) as { job_id: string });
      } else {
        reject(errorOf(request.status, request.responseText));
      }
    };
    request.onerror = () => void whyItBroke(file).then(reject);
    request.onabort = () => reject(new RequestError(0, "aborted", "The upload was stopped."));
  });
  request.open("POST", "/reports/start/");
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("Content-Type", "text/csv");
  request.setRequestHeader("X-Filename", encodeURIComponent(file.name));
  request.send(file);
  return { done, abort: () => request.abort() };
}
