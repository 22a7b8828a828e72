// A page of the tests: the React hooks on real job sockets, under StrictMode, driven through window.test.
import { useChannel } from "carillon/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

interface Frame {
  progress: number;
  status: string;
}

interface TestPage {
  show(url: string | null): void;
  unmount(): void;
  /** Sockets that were opened and not closed since. */
  open: Set<WebSocket>;
}

const open = new Set<WebSocket>();
const Real = window.WebSocket;
window.WebSocket = class extends Real {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    open.add(this);
    this.addEventListener("close", () => open.delete(this));
  }
};

function Page() {
  const [url, setUrl] = useState<string | null>(null);
  page.show = setUrl;
  const { value, state } = useChannel<number[], Frame>(url, none, (list, frame) => [...list, frame.progress]);
  return (
    <output data-phase={state?.phase ?? "none"} data-url={url ?? ""}>
      {value.join(" ")}
    </output>
  );
}

const none: number[] = [];
const root = createRoot(document.body.appendChild(document.createElement("div")));
const page: TestPage = { show: () => undefined, unmount: () => root.unmount(), open };
(window as unknown as { test: TestPage }).test = page;
root.render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
