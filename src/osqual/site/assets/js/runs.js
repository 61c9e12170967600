// The newest runs of all configurations.
"use strict";

osqual.pages.runs = function runsPage(view, catalogue) {
  const { el } = osqual;
  const runs = osqual.data.get("runs");
  if (!runs.length) {
    view.replaceChildren(el("p.card.empty", {}, "No run is known: neither records nor a store tell of one."));
    return;
  }
  view.replaceChildren(
    el("section.card", {}, osqual.table({
      caption: `${runs.length} of ${osqual.plural(catalogue.runs, "run")}, newest first`,
      rows: runs,
      sort: 0,
      descending: true,
      columns: [
        { title: "when", value: (run) => run.started ?? 0, show: (run) => el("a", { href: osqual.runLink(catalogue, run) }, osqual.moment(run.started) || run.id), head: true },
        { title: "verdict", value: (run) => run.state, show: (run) => osqual.state(run.state) },
        { title: "configuration", value: (run) => catalogue.paths[run.configuration], show: (run) => osqual.configurationLink(catalogue, run.configuration) },
        { title: "took", value: (run) => run.seconds ?? 0, show: (run) => (run.seconds ? osqual.duration(run.seconds) : ""), number: true },
        { title: "failed", value: (run) => (run.totals?.fail ?? 0) + (run.totals?.error ?? 0), number: true, show: (run) => String((run.totals?.fail ?? 0) + (run.totals?.error ?? 0) || "") },
        { title: "tests", value: (run) => sum(run.totals), show: (run) => String(sum(run.totals) || ""), number: true },
      ],
    })),
  );
};

function sum(totals) {
  return Object.values(totals ?? {}).reduce((all, count) => all + count, 0);
}
