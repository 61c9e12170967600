// One run: time line of steps, failing tests with their output, suites, machines, consoles.
"use strict";

osqual.pages.run = async function runPage(view, catalogue) {
  const { el, card } = osqual;
  const params = osqual.params();
  const number = catalogue.paths.indexOf(params.get("c") ?? "");
  const known = number < 0 ? null : await osqual.load(`configurations/${number}`);
  const line = known?.runs?.find((run) => run.id === params.get("run"));
  if (!line) {
    view.replaceChildren(el("p.card", {}, "This run is not known here. ", el("a", { href: "runs.html" }, "All runs")));
    return;
  }
  const file = line.file ?? 0;
  const run = await osqual.load(`runs/${Math.floor(file / 1000)}/${file}`);
  document.title = `Run ${run.id} · ${catalogue.title}`;
  document.getElementById("title").replaceChildren("Run ", osqual.isolated(run.id));
  view.replaceChildren(
    el(
      "div.grid",
      {},
      verdictCard(catalogue, run, line),
      factsCard(run),
      wide(card("Steps", stepsTable(run))),
      failingCard(run),
      ...(run.suites ?? []).map(suiteCard),
      nodesCard(run),
      imagesCard(run),
      osqual.imageContentsCard(run),
      consolesCard(run),
    ),
  );
};

function wide(element) {
  element.classList.add("wide");
  return element;
}

function verdictCard(catalogue, run, line) {
  const { el } = osqual;
  return osqual.card(
    "Verdict",
    el("p", {}, osqual.state(line.state)),
    el("p", {}, osqual.configurationLink(catalogue, run.configuration)),
    osqual.list((run.reasons ?? []).map(osqual.isolated)),
  );
}

function factsCard(run) {
  const { el } = osqual;
  return osqual.card(
    "Facts",
    osqual.facts([
      ["started", osqual.moment(run.started)],
      ["took", run.seconds ? osqual.duration(run.seconds) : ""],
      ["processors", run.accelerator === "tcg" ? "emulated (tcg)" : run.accelerator],
      ["commit", run.commit ? el("code", {}, run.commit) : ""],
      ["cost, estimated", run.cost === undefined ? "" : `$${run.cost.toFixed(2)} for ${run.hours ?? 0} h`],
      ["tried again", Object.entries(run.retries ?? {}).map(([step, count]) => `${step} ${count}×`).join(", ")],
      ["job", run.url ? el("a", { href: run.url, rel: "noreferrer" }, run.url) : ""],
      ["tools", Object.entries(run.tools ?? {}).map(([name, version]) => `${name} ${version}`).join(", ")],
      ["left behind", (run.left ?? []).join(", ")],
    ]),
  );
}

function stepsTable(run) {
  const { el } = osqual;
  const signs = { done: "✓", failed: "✗", skipped: "–", running: "…" };
  if (!run.steps) return el("p.empty", {}, "Nothing is known of its steps.");
  return el(
    "div.scroller",
    { tabindex: "0", role: "region", "aria-label": "steps" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ["step", "how it ended", "took", "time line", "what it said"].map((title) => el("th", { scope: "col", class: title === "took" ? "number" : "" }, title)))),
      el("tbody", {}, run.steps.map((step) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, step.name),
          el("td", {}, el("span.state", { class: step.status }, el("span.sign", { "aria-hidden": "true" }, signs[step.status] ?? "·"), step.status)),
          el("td.number", {}, step.took),
          el("td", { class: "time-line" }, osqual.bar(step.took ? [{ offset: step.offset, share: step.share, state: step.status }] : [], `${step.name}: ${step.took || "not run"}`)),
          el("td", {}, osqual.isolated(step.message)),
        ),
      )),
    ),
  );
}

function failingCard(run) {
  const { el } = osqual;
  const failing = (run.suites ?? []).flatMap((suite) =>
    (suite.tests ?? []).filter(([, outcome]) => outcome === "fail" || outcome === "error").map((test) => [suite.name, ...test]));
  if (!failing.length) return "";
  return wide(osqual.card(
    osqual.plural(failing.length, "failing test"),
    ...failing.map(([suite, test, outcome, seconds, message, details], place) =>
      el(
        "details.box",
        { open: place === 0 },
        el("summary", {}, osqual.outcome(outcome), " ", osqual.isolated(`${suite}: ${test}`)),
        el("p", {}, el("a", { href: osqual.link("tests", { suite, test }) }, "Where else does it fail?"), el("span.soft", {}, seconds ? `  ${seconds} s` : "")),
        message ? el("p", {}, osqual.isolated(message)) : "",
        details ? el("pre", { tabindex: "0" }, details) : "",
      )),
  ));
}

function suiteCard(suite) {
  const { el } = osqual;
  const totals = Object.entries(suite.totals ?? {});
  return osqual.card(
    `Suite ${suite.name}`,
    suite.skipped ? el("p", {}, "Not run: ", osqual.isolated(suite.skipped)) : "",
    suite.problem ? el("p.r.state", {}, "✗ ", osqual.isolated(suite.problem)) : "",
    totals.length ? el("p", {}, totals.flatMap(([name, count]) => [el("span.badge", { class: name }, `${osqual.outcomes[name]?.sign ?? ""} ${count} ${name}`), " "]), el("span.soft", {}, suite.took)) : "",
    suite.tests
      ? el("details", {}, el("summary", {}, osqual.plural(suite.tests.length, "result")), osqual.table({
          caption: `Results of ${suite.name}`,
          rows: suite.tests,
          columns: [
            { title: "test", value: ([name]) => name, show: ([name]) => el("a", { href: osqual.link("tests", { suite: suite.name, test: name }) }, osqual.isolated(name)), head: true },
            { title: "outcome", value: ([, outcome]) => outcome, show: ([, outcome]) => osqual.outcome(outcome) },
            { title: "seconds", value: ([, , seconds]) => seconds, show: ([, , seconds]) => seconds.toFixed(1), number: true },
          ],
          sort: 1,
        }))
      : "",
  );
}

function nodesCard(run) {
  const { el } = osqual;
  if (!run.nodes) return "";
  return osqual.card("Nodes", el("div.scroller", { tabindex: "0", role: "region", "aria-label": "nodes" }, el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ["node", "role", "system", "kernel", "versions"].map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, run.nodes.map(([name, ...rest]) => el("tr", {}, el("th", { scope: "row" }, name), rest.map((text) => el("td", {}, osqual.isolated(text)))))),
  )));
}

function imagesCard(run) {
  const { el } = osqual;
  if (!run.images?.length) return "";
  return osqual.card("Images", osqual.facts(run.images.map(([region, image]) => [region, el("span", {}, el("code", {}, image), " ", osqual.copyButton(image, `the image in ${region}`))])));
}

function consolesCard(run) {
  const { el } = osqual;
  if (!run.consoles) return "";
  return wide(osqual.card("Consoles", ...run.consoles.map(([name, text]) =>
    el("details.box", {}, el("summary", {}, osqual.isolated(name)), el("pre", { tabindex: "0" }, text)))));
}
