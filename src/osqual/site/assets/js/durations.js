// Where the time goes and what it costs.
"use strict";

osqual.pages.durations = function durationsPage(view, catalogue) {
  const { el } = osqual;
  const found = osqual.data.get("durations");
  const steps = Object.entries(found.whole).sort((a, b) => b[1] - a[1]);
  const parts = [];
  if (steps.length) {
    const whole = steps.reduce((sum, [, seconds]) => sum + seconds, 0) || 1;
    parts.push(el("section.card", {}, el("h2", {}, "Time by step"), el("div.scroller", { tabindex: "0", role: "region", "aria-label": "time by step" }, el(
      "table",
      {},
      el("caption", {}, `Medians of ${osqual.plural(found.runs, "run")}`),
      el("thead", {}, el("tr", {}, ["step", "median", "share"].map((title) => el("th", { scope: "col", class: title === "median" ? "number" : "" }, title)))),
      el("tbody", {}, steps.map(([name, seconds]) => el("tr", {}, el("th", { scope: "row" }, name), el("td.number", {}, osqual.duration(seconds)), el("td", { class: "time-line" }, osqual.bar([{ offset: 0, share: (100 * seconds) / whole, state: "q" }], `${Math.round((100 * seconds) / whole)} %`))))),
    ))));
  }
  if (found.days.length > 1) {
    parts.push(el("section.card.wide", {}, el("h2", {}, "Over time"), osqual.chart({
      title: "Median seconds of each step by day",
      times: found.days,
      unit: " s",
      series: steps.slice(0, 6).map(([name], place) => ({ label: name, values: found.steps[name], token: osqual.chartTokens(place) })),
    })));
  }
  if (found.slowest.length) {
    parts.push(el("section.card", {}, el("h2", {}, "Slowest tests"), osqual.table({
      caption: "By the median of all runs",
      rows: found.slowest,
      sort: 1,
      descending: true,
      batch: 20,
      columns: [
        { title: "test", value: ([, test]) => test, show: ([suite, test]) => el("a", { href: osqual.link("tests", { suite, test }) }, osqual.isolated(`${suite}: ${test}`)), head: true },
        { title: "median", value: ([, , middle]) => middle, show: ([, , middle]) => `${middle} s`, number: true },
        { title: "longest", value: ([, , , longest]) => longest, show: ([, , , longest]) => `${longest} s`, number: true },
        { title: "runs", value: ([, , , , runs]) => runs, number: true },
      ],
    })));
  }
  if (found.dearest.length) {
    parts.push(el("section.card", {}, el("h2", {}, "Costs"), el("p.soft", {}, "Estimated from the price table of the settings, as records tell."), osqual.table({
      caption: "By configuration",
      rows: found.dearest,
      sort: 1,
      descending: true,
      batch: 20,
      columns: [
        { title: "configuration", value: ([number]) => catalogue.paths[number], show: ([number]) => osqual.configurationLink(catalogue, number), head: true },
        { title: "spent", value: ([, usd]) => usd, show: ([, usd]) => `$${usd.toFixed(2)}`, number: true },
        { title: "runs", value: ([, , count]) => count, number: true },
      ],
    })));
  }
  if (found.months.length > 1) {
    parts.push(el("section.card.wide", {}, el("h2", {}, "Costs over time"), osqual.chart({
      title: "Dollars by month",
      times: found.months.map(([time]) => time),
      unit: " $",
      series: [{ label: "spent", values: found.months.map(([, usd]) => usd), token: "q" }],
    })));
  }
  view.replaceChildren(parts.length ? el("div.grid", {}, parts) : el("p.card.empty", {}, "No run tells how long its steps took or what it cost: records and the store do."));
};
