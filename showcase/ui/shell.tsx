// The frame of every page: skip link, demo banner, top bar with connection state, footer.
import type { ReactNode } from "react";
import { ConnectionChip, type Link } from "./connection_chip.tsx";

export interface ShellProps {
  /** The address of the present page among `pages`, or "/". */
  here: string;
  link: Link;
  children: ReactNode;
}

const bell =
  "M16 3a2 2 0 0 1 2 2v.6c4 .9 6.6 4.3 6.8 8.6.2 4.8 1.2 6.9 3 8.7.9.9.3 2.1-.9 2.1H5.100" +
  "c-1.2 0-1.8-1.2-.9-2.1 1.8-1.8 2.8-3.9 3-8.7C7.400 9.9 10 6.5 14 5.600V5a2 2 0 0 1 2-2z";

const pages = [{ address: "/reports/", name: "Reports" }];

/** True when the server said that this is a demonstration. */
export function isDemo(): boolean {
  return document.querySelector('meta[name="carillon-demo"]')?.getAttribute("content") === "1";
}

export function Mark({ size }: { size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="currentColor" aria-hidden="true">
      <path d={bell} />
      <circle cx="16" cy="28" r="2.6" />
    </svg>
  );
}

export function Shell({ here, link, children }: ShellProps) {
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      {isDemo() && (
        <div className="banner" role="note">
          Demonstration: nobody has to sign in, and only this machine can reach the server.
        </div>
      )}
      <header className="top">
        <div className="top-inner">
          <a className="wordmark" href="/" aria-current={here === "/" ? "page" : undefined}>
            <Mark size={22} />
            Carillon
          </a>
          <nav className="nav" aria-label="Systems">
            {pages.map((page) => (
              <a key={page.address} href={page.address} aria-current={here === page.address ? "page" : undefined}>
                {page.name}
              </a>
            ))}
          </nav>
          <ConnectionChip link={link} />
        </div>
      </header>
      <main className="page" id="main" tabIndex={-1}>
        {children}
      </main>
      <footer className="foot">
        <div className="foot-inner">
          <span>Carillon carries what happened on a server to every open page at once.</span>
          <a href="/readyz">Server status</a>
        </div>
      </footer>
    </>
  );
}
