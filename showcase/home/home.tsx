// The start page: what Carillon is, and a card for each of the five systems.
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "../ui/tokens.css";
import "../ui/base.css";
import "./home.css";
import { useServerHealth } from "../ui/server_health.ts";
import { Shell } from "../ui/shell.tsx";

interface System {
  name: string;
  address?: string;
  text: string;
}

const systems: System[] = [
  {
    name: "Reports",
    address: "/reports/",
    text: "Give a CSV file of any size. A worker reads it, and its progress moves in every open tab.",
  },
  { name: "Wards", text: "Beds, patients and deliveries of a hospital, on a board that is never out of date." },
  { name: "Tasks", text: "A shared list: what one person ticks off is ticked off for everybody." },
  { name: "Notifications", text: "A bell that counts what is new, the moment it happens." },
  { name: "Signals", text: "Events of the page as calls on the server, and the other way round." },
];

function SystemCard({ system }: { system: System }) {
  return (
    <article className={`card system ${system.address ? "live" : "coming"}`}>
      <header>
        <h3>{system.address ? <a href={system.address}>{system.name}</a> : system.name}</h3>
        <span className={`badge ${system.address ? "good" : ""}`}>{system.address ? "Live" : "Coming"}</span>
      </header>
      <p>{system.text}</p>
      {system.address && (
        <span className="go" aria-hidden="true">
          Open {system.name.toLowerCase()}
        </span>
      )}
    </article>
  );
}

function Home() {
  const link = useServerHealth(true);
  return (
    <Shell here="/" link={link}>
      <div className="opening">
        <h1>Every open page, told at once.</h1>
        <p>
          Carillon is a real-time push platform: a job that advances, a row that changes, a message for somebody
          reaches the browser the moment it happens. One program holds the sockets, the queue, the workers and the data.
        </p>
      </div>
      <section aria-labelledby="systems">
        <h2 className="section-title" id="systems">
          Five systems, built on it
        </h2>
        <ul className="systems">
          {systems.map((system) => (
            <li key={system.name}>
              <SystemCard system={system} />
            </li>
          ))}
        </ul>
      </section>
    </Shell>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Home />
    </StrictMode>,
  );
}
