// Tests: all of them by how often they fail; one of them across configurations and time.
"use strict";

osqual.pages.tests = async function testsPage(view, catalogue) {
  const { el } = osqual;
  const tests = osqual.data.get("tests");
  const params = osqual.params();
  const name = params.get("test");
  const title = document.getElementById("title");
  if (name !== null) {
    const suite = params.get("suite");
    const place = tests.findIndex((test) => test.test === name && (suite === null || test.suite === suite));
    title.replaceChildren(osqual.isolated(name));
    document.title = `${name} · ${catalogue.title}`;
    view.replaceChildren(
      el("p", {}, el("a", { href: "#" }, "← all tests")),
      ...(place < 0 ? [el("p.card.empty", {}, "No run tells of this test.")] : await oneTest(catalogue, place)),
    );
    return;
  }
  title.textContent = "Tests";
  if (!tests.length) {
    view.replaceChildren(el("p.card.empty", {}, "No record and no run tells of a test."));
    return;
  }
  const search = el("input", { type: "search", id: "search", value: params.get("text") ?? "" });
  const rows = tests.map((test) => ({ ...test, rate: rate(test.outcomes) }));
  const table = osqual.table({
    caption: "How often each test failed, with the interval in which the true rate lies (95 %)",
    rows,
    sort: 3,
    descending: true,
    columns: [
      { title: "test", value: (test) => test.test, show: (test) => el("a", { href: osqual.link("tests", { suite: test.suite, test: test.test }) }, osqual.isolated(test.test)), head: true },
      { title: "suite", value: (test) => test.suite, show: (test) => osqual.isolated(test.suite) },
      { title: "runs", value: (test) => test.rate.count, number: true },
      { title: "failed", value: (test) => test.rate.bad, number: true },
      { title: "rate", value: (test) => test.rate.share, show: (test) => percent(test.rate), number: true },
      { title: "flaky", value: (test) => test.outcomes.flaky ?? 0, number: true },
      { title: "muted", value: (test) => test.outcomes.muted ?? 0, number: true },
      { title: "configurations", value: (test) => test.places, number: true },
      { title: "failed last", value: (test) => test.lastBad, show: (test) => osqual.moment(test.lastBad).slice(0, 10), number: true },
    ],
  });
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    table.show(rows.filter((test) => words.every((word) => `${test.suite} ${test.test}`.toLowerCase().includes(word))));
    const chosen = new URLSearchParams(search.value ? { text: search.value } : {});
    osqual.setParams(chosen);
  }
  search.addEventListener("input", filter);
  if (search.value) filter();
  view.replaceChildren(
    el("div.controls", {}, el("div.control", {}, el("label", { for: "search" }, "Search"), search)),
    el("section.card", {}, table),
  );
};

// The rate of failure and Wilson's interval for it.
function rate(outcomes) {
  const bad = (outcomes.fail ?? 0) + (outcomes.error ?? 0);
  const count = bad + (outcomes.pass ?? 0) + (outcomes.flaky ?? 0) + (outcomes.muted ?? 0);
  if (!count) return { bad, count, share: 0, low: 0, high: 1 };
  const z = 1.96;
  const share = bad / count;
  const middle = share + (z * z) / (2 * count);
  const spread = z * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  const whole = 1 + (z * z) / count;
  return { bad, count, share, low: Math.max(0, (middle - spread) / whole), high: Math.min(1, (middle + spread) / whole) };
}

function percent({ share, low, high }) {
  const text = (part) => `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`;
  return `${text(share)} (${text(low)}–${text(high)})`;
}

async function oneTest(catalogue, place) {
  const { el, card } = osqual;
  const test = await osqual.load(`tests/${place}`);
  const totals = osqual.data.get("tests")[place].outcomes;
  const found = rate(totals);
  const weeks = test.weeks;
  const share = (part) => weeks.map(([, count, ...rest]) => Math.round((1000 * rest[part]) / count) / 10);
  const parts = [
    el(
      "div.grid",
      {},
      card(
        "All runs",
        osqual.facts([
          ["suite", osqual.isolated(test.suite)],
          ["failed", `${found.bad} of ${found.count}: ${percent(found)}`],
          ["flaky", String(totals.flaky ?? 0)],
          ["muted", String(totals.muted ?? 0)],
        ]),
      ),
      card(
        "Where it does not plainly pass",
        test.places.length
          ? osqual.table({
              caption: "By configuration",
              rows: test.places,
              sort: 2,
              descending: true,
              columns: [
                { title: "configuration", value: ([number]) => catalogue.paths[number], show: ([number]) => osqual.configurationLink(catalogue, number), head: true },
                { title: "runs", value: ([, count]) => count, number: true },
                { title: "failed", value: ([, , bad]) => bad, number: true },
                { title: "flaky", value: ([, , , flaky]) => flaky, number: true },
                { title: "muted", value: ([, , , , muted]) => muted, number: true },
              ],
            })
          : el("p.empty", {}, "It passed everywhere."),
      ),
    ),
  ];
  if (weeks.length > 1) {
    parts.push(el("section.card", {}, el("h2", {}, "Over time, by week"), osqual.chart({
      title: "Share of runs in which it failed or was flaky",
      times: weeks.map(([time]) => time),
      unit: " %",
      series: [
        { label: "failed", values: share(0), token: "r" },
        { label: "flaky", values: share(1), token: "i" },
      ],
    })));
  }
  parts.push(el("section.card", {}, osqual.table({
    caption: "Each time that it did not plainly pass",
    rows: test.events,
    sort: 0,
    descending: true,
    columns: [
      { title: "when", value: ([, , time]) => time, show: ([, number, time, run]) => el("a", { href: osqual.link("run", { c: catalogue.paths[number], run }) }, osqual.moment(time) || run), head: true },
      { title: "outcome", value: ([outcome]) => outcome, show: ([outcome]) => osqual.outcome(outcome) },
      { title: "configuration", value: ([, number]) => catalogue.paths[number], show: ([, number]) => osqual.configurationLink(catalogue, number) },
    ],
  })));
  return parts;
}
