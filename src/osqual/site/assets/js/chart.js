// Charts with uPlot, each with the same numbers as a table for whoever does not see it.
"use strict";

const DAYS = [1, 2, 7, 14, 30, 91, 182, 365, 730].map((days) => days * 86400);

// series: [{ label, values, token: name of a colour }]; times in seconds.
osqual.chart = function chart({ title, times, series, unit }) {
  const { el } = osqual;
  const box = el("div.chart", { role: "img", "aria-label": `${title}; the same numbers are in the table below` });
  const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
  let plot = null;

  function draw() {
    if (!box.isConnected) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (token) => resolved(`var(--${token})`);
    plot?.destroy();
    const grid = { stroke: resolved("var(--edge)"), width: 1 };
    const axis = { stroke: resolved("var(--soft)"), grid, ticks: grid, font: `12px ${style.fontFamily}` };
    plot = new uPlot(
      {
        width: Math.max(320, box.clientWidth),
        height: 260,
        cursor: { drag: { x: true, y: false } },
        scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        axes: [{ ...axis, space: 90, incrs: DAYS, values: (_, ticks) => ticks.map((tick) => osqual.moment(tick).slice(0, 10)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${tick}${unit}`) }],
        series: [
          { label: "day", value: (_, time) => (time === null ? "" : osqual.moment(time).slice(0, 10)) },
          ...series.map(({ label, token }, place) => ({
            label,
            stroke: colour(token),
            width: 2,
            dash: dashes[Math.floor(place / tokens.length) % dashes.length],
            points: { show: times.length < 60, size: 5 },
            spanGaps: true,
            value: (_, value) => (value === null ? "–" : `${value}${unit}`),
          })),
        ],
      },
      [times, ...series.map(({ values }) => values)],
      box,
    );
  }

  new ResizeObserver(draw).observe(box);
  addEventListener("osqual-theme", draw);
  const rows = times.map((time, place) => [time, ...series.map(({ values }) => values[place])]);
  return el(
    "div",
    {},
    box,
    el("details", {}, el("summary", {}, "the numbers"), osqual.table({
      caption: title,
      rows,
      sort: 0,
      descending: true,
      columns: [
        { title: "day", value: (row) => row[0], show: (row) => osqual.moment(row[0]).slice(0, 10), head: true },
        ...series.map(({ label }, place) => ({
          title: label,
          value: (row) => row[place + 1] ?? -1,
          show: (row) => (row[place + 1] === null ? "" : `${row[place + 1]}${unit}`),
          number: true,
        })),
      ],
    })),
  );
};

const tokens = ["q", "r", "u", "i", "soft"];
osqual.chartTokens = (place) => tokens[place % tokens.length];

// A canvas knows no variables and no light-dark(): a hidden element works the colour out.
function resolved(value) {
  const probe = osqual.el("span");
  probe.style.color = value;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
