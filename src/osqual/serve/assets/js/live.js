// What the server knows beyond the pages: who is signed in, what runs, whether pages are newer.
"use strict";

osqual.live = { signedIn: false };

// Events of the server, only while the page is seen: a browser has six connections for all its tabs.
osqual.live.follow = function follow(path, handlers) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(path);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
    source.addEventListener("end", close);
  };
  const hide = () => {
    source?.close();
    source = null;
  };
  const seen = () => (document.hidden ? hide() : open());
  function close() {
    hide();
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("pagehide", hide);
  }
  document.addEventListener("visibilitychange", seen);
  addEventListener("pagehide", hide);
  open();
  return close;
};

osqual.live.act = async function act(path) {
  const answer = await fetch(path, { method: "POST" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `The server answered ${answer.status}.`);
  return told;
};

osqual.live.elapsed = (run, now) => osqual.duration((run.ended ?? now) - run.started);

// Steps that are to come, by what they usually take; nothing where no run tells.
osqual.live.left = function left(run, now) {
  if (!run.usual || !Object.keys(run.usual).length) return "";
  const seconds = run.steps.reduce((sum, step) => {
    const usual = run.usual[step.name] ?? 0;
    if (step.status === "pending") return sum + usual;
    return step.status === "running" ? sum + Math.max(0, usual - (now - step.started)) : sum;
  }, 0);
  return `about ${osqual.duration(seconds)} left`;
};

osqual.live.steps = function steps(run) {
  const signs = { done: "✓", failed: "✗", skipped: "–", running: "…" };
  return osqual.el(
    "ol.live-steps",
    { "aria-label": "steps" },
    run.steps.map((step) =>
      osqual.el("li", { class: step.status === "pending" ? "n" : step.status, "data-tip": step.message || null },
        `${signs[step.status] ?? "·"} ${step.name}`, osqual.el("span.hidden", {}, ` ${step.status}`))),
  );
};

// The line above each page: sign in or out.
osqual.live.line = async function line() {
  const { el } = osqual;
  const lead = document.getElementById("lead");
  const answer = await fetch("live/me");
  osqual.live.signedIn = answer.ok && (await answer.json()).signedIn;
  const page = location.pathname.replace(/^\/$/, "/index.html");
  const sign = osqual.live.signedIn
    ? el("form", { method: "post", action: "sign-out" }, el("button.plain", {}, "Sign out"))
    : el("a", { href: `sign-in?next=${page}${location.hash}` }, "Sign in to cancel and re-run");
  const runs = el("a", { href: "running.html", hidden: true });
  const newer = el("span", { role: "status", id: "newer" });
  lead.after(el("div.live-line", { id: "live-line" }, runs, sign, newer));
  if (!["running", "run"].includes(document.body.dataset.page)) {
    osqual.live.follow("live/runs", {
      site: osqual.live.newer,
      runs: (told) => {
        runs.hidden = !told.runs.length;
        runs.textContent = `${osqual.plural(told.runs.length, "run")} going on`;
      },
    });
  }
};

osqual.live.newer = function newer(site) {
  const place = document.getElementById("newer");
  if (!place) return;
  if (osqual.live.site === undefined) osqual.live.site = site.number;
  const reload = () => osqual.el("button.plain", { type: "button", onclick: () => location.reload() }, "Show it");
  if (site.problem) place.textContent = `The pages stay as they were: ${site.problem}`;
  else if (site.number !== osqual.live.site) place.replaceChildren("There is something newer. ", reload());
};

osqual.live.ready = osqual.live.line().catch(() => {});

// Runs that go on.
osqual.pages.running = async function runningPage(view) {
  const { el } = osqual;
  await osqual.live.ready;
  let runs = null;
  let offset = 0;
  const list = el("div", { "aria-live": "off" });
  const count = el("p.count", { role: "status" }, "Asking …");
  view.replaceChildren(count, list);
  const now = () => Date.now() / 1000 + offset;

  function draw() {
    if (!runs) return;
    count.textContent = runs.length ? `${osqual.plural(runs.length, "run")} not ended.` : "Nothing runs.";
    list.replaceChildren(...runs.map((run) => el(
      "section.card",
      {},
      el("h2", {}, el("a", { href: osqual.link("run", { c: run.configuration, run: run.id }) }, osqual.isolated(run.configuration))),
      el("p", {}, osqual.state(run.state), " ", el("span.soft.elapsed", {}, words(run))),
      osqual.live.steps(run),
    )));
  }

  function words(run) {
    const left = run.state === "b" ? osqual.live.left(run, now()) : "";
    return [run.id, `for ${osqual.live.elapsed(run, now())}`, left, run.cancels ? "asked to stop" : ""].filter(Boolean).join(" · ");
  }

  osqual.live.follow("live/runs", {
    site: osqual.live.newer,
    runs: (told) => {
      offset = told.now - Date.now() / 1000;
      runs = told.runs;
      draw();
    },
  });
  setInterval(() => list.querySelectorAll(".elapsed").forEach((place, at) => (place.textContent = words(runs[at]))), 1000);
};
