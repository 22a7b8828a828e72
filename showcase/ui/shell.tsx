// The frame of every page: skip link, demo banner, top bar with connection state, footer.
import type { ReactNode } from "react";
import { ConnectionChip, type Link } from "./connection_chip.tsx";

export interface ShellProps {
  /** The address of the present page among `pages`, or "/". */
  here: string;
  link: Link;
  children: ReactNode;
}

const pages = [{ address: "/reports/", name: "Reports" }];

/** True when the server said that this is a demonstration. */
export function isDemo(): boolean {
  return document.querySelector('meta[name="carillon-demo"]')?.getAttribute("content") === "1";
}

export function Mark({ size }: { size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="currentColor" aria-hidden="true">
      <path
        d={
          "M16 3a2 2 0 0 1 2 2v.6c4 .9 6.6 4.300 6.800 8.600.2 4.800 1.200 6.900 3 8.700.9.900.3 2.100-.9 2.100H5.100" +
          "c-1.200 0-1.800-1.200-.9-2.100 1.800-1.800 2.800-3.900 3-8.700C7.400 9.900 10 6.500 14 5.600V5a2 2 0 0 1 2-2z"
        }
      />
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
          Demonstration: every visitor is the user <strong>demo</strong>. This server listens on this machine only.
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
