// One configuration: verdict, images, what it is made from, its runs, mutes, and what runs next.
"use strict";

osqual.pages.configuration = async function configurationPage(view, catalogue) {
  const { el, card, facts, list } = osqual;
  const path = osqual.params().get("c") ?? "";
  const number = catalogue.paths.indexOf(path);
  if (number < 0) {
    const missing = path ? `There is no configuration ${path}.` : "Choose a configuration in the matrix.";
    view.replaceChildren(el("p.card", {}, missing, " ", el("a", { href: "index.html" }, "Support matrix")));
    return;
  }
  document.title = `${path} · ${catalogue.title}`;
  document.getElementById("title").replaceChildren(osqual.isolated(path));
  const [found, mutes] = await Promise.all([osqual.load(`configurations/${number}`), osqual.load("mutes")]);
  const runs = found.runs ?? [];
  const letter = catalogue.standing[number];

  const verdict = card(
    "Verdict",
    el("p", {}, osqual.state(letter), " ", el("span.soft", {}, found.when ? found.when.slice(0, 16).replace("T", " ") : "")),
    el("p.soft", {}, osqual.states[letter].proves),
    found.reasons ? list(found.reasons.map(osqual.isolated)) : "",
    runs.length ? el("p", {}, osqual.runStrip(catalogue, runs)) : el("p.empty", {}, "No run is known."),
  );
  const images = card("Images", imagesTable(found));
  const inputs = card("Made from", inputsTable(found), recipeLine(catalogue, found));
  const what = card(
    "What it is",
    facts([
      ...found.dimensions.map(([name, value, same]) => [osqual.words(name), same === value ? value : `${value} (means ${same})`]),
      ...Object.entries(found.cluster ?? {}),
      ...Object.entries(found.tests ?? {}),
      ...(found.base ?? []).map(([region, image]) => [`base, ${region}`, el("code", {}, image)]),
    ]),
  );
  const next = card(
    found.nextAction === "run" ? "Would run again" : found.nextAction === "broken" ? "Cannot run" : "Nothing to do",
    list((found.next ?? []).map(osqual.isolated)),
  );
  const history = runs.length ? card("Runs", runsTable(catalogue, runs)) : "";
  history?.classList?.add("wide");
  view.replaceChildren(
    el("div.grid", {}, verdict, images, what, inputs, next, flakesCard(runs), mutesCard(found, mutes), buildsCard(found), problemsCard(found), history),
  );
};

function imagesTable(found) {
  const { el } = osqual;
  if (!found.images) return el("p.empty", {}, "Nothing is published.");
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ["region", "image", "copy"].map((title) => el("th", { scope: "col" }, title)))),
    el(
      "tbody",
      {},
      found.images.map(([region, image]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, osqual.isolated(region)),
          el("td", {}, el("code", {}, image), found.withdrawn?.[image] ? el("p.r.state", {}, `✗ ${found.withdrawn[image]}`) : ""),
          el("td", {}, osqual.copyButton(image, `the image in ${region}`)),
        ),
      ),
    ),
  );
}

function inputsTable(found) {
  const { el } = osqual;
  const own = `${osqual.params().get("c")}/`;
  const shown = (place) => (place.startsWith(own) ? el("span.soft", {}, "its own") : osqual.isolated(place));
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ["file", "where it comes from"].map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, (found.files ?? []).map(([name, place]) =>
      el("tr", {}, el("th", { scope: "row" }, osqual.isolated(name)), el("td.small", {}, shown(place))))),
  );
}

function recipeLine(catalogue, found) {
  const { el } = osqual;
  if (!found.recipe) return el("p", {}, `The recipe is unknown: ${found.recipeProblem ?? ""}`);
  const others = (found.shared ?? []).filter((number) => catalogue.paths[number] !== osqual.params().get("c"));
  return el(
    "div",
    {},
    el("p", {}, "Recipe ", el("code", {}, found.recipe.slice(0, 23)), " ", osqual.copyButton(found.recipe, "the recipe's digest")),
    others.length
      ? el("details", {}, el("summary", {}, `shared with ${osqual.plural(found.sharedCount - 1, "other")}`), osqual.list(others.map((number) => osqual.configurationLink(catalogue, number))))
      : el("p.soft", {}, "No other configuration has it."),
  );
}

function runsTable(catalogue, runs) {
  const { el } = osqual;
  return osqual.table({
    caption: "Newest first",
    sort: 1,
    descending: true,
    rows: runs,
    columns: [
      { title: "run", value: (run) => run.id, show: (run) => el("a", { href: osqual.runLink(catalogue, run) }, run.id), head: true },
      { title: "when", value: (run) => run.started ?? 0, show: (run) => osqual.moment(run.started) },
      { title: "verdict", value: (run) => run.state, show: (run) => osqual.state(run.state) },
      { title: "took", value: (run) => run.seconds ?? 0, show: (run) => (run.seconds ? osqual.duration(run.seconds) : ""), number: true },
      { title: "tests", show: (run) => totalsLine(run.totals) },
    ],
  });
}

function totalsLine(totals) {
  const words = Object.entries(totals ?? {}).map(([name, count]) => `${osqual.outcomes[name]?.sign ?? ""} ${count} ${name}`);
  return words.join("  ");
}

// A test that passed when repeated, or failed in some runs and not in others.
function flakesCard(runs) {
  const { el } = osqual;
  const counts = new Map();
  for (const run of runs) {
    for (const [suite, test, outcome] of run.marked ?? []) {
      const key = JSON.stringify([suite, test]);
      const known = counts.get(key) ?? { suite, test };
      known[outcome] = (known[outcome] ?? 0) + 1;
      counts.set(key, known);
    }
  }
  if (!counts.size) return "";
  return osqual.card(
    "Tests that did not plainly pass",
    el("ul.list", {}, [...counts.values()].slice(0, 30).map(({ suite, test, ...outcomes }) =>
      el("li", {}, el("a", { href: osqual.link("tests", { suite, test }) }, osqual.isolated(`${suite}: ${test}`)), " ",
        Object.entries(outcomes).map(([name, count]) => el("span.badge", { class: name }, `${osqual.outcomes[name]?.sign ?? ""} ${count} ${name}`))))),
    el("p.soft", {}, `in ${osqual.plural(runs.length, "run")}`),
  );
}

function mutesCard(found, mutes) {
  const { el } = osqual;
  if (!found.muted) return "";
  return osqual.card(
    "Muted tests",
    el("ul.list", {}, found.muted.map((place) => {
      const mute = mutes[place];
      const why = [mute.reason, mute.ticket, mute.until ? `until ${mute.until}` : ""].filter(Boolean).join(" · ");
      return el("li", {}, osqual.isolated(mute.test), " ", mute.expired ? el("span.badge.r", {}, "expired") : "",
        el("div.soft.small", {}, osqual.isolated(why || "no reason is given"), ` (${mute.how}, ${mute.source}${mute.line ? `:${mute.line}` : ""})`));
    })),
    el("p", {}, el("a", { href: "mutes.html" }, "All mutes")),
  );
}

function buildsCard(found) {
  const { el } = osqual;
  if (!found.builds) return "";
  return osqual.card(
    osqual.plural(found.builds.length, "build"),
    el("ol.list", {}, found.builds.slice(-12).map((build) =>
      el("li", {}, build.time.slice(0, 16).replace("T", " "), el("span.soft", {}, ` ${build.builder}, ${osqual.plural(build.images.length, "region")}`)))),
  );
}

function problemsCard(found) {
  return found.problems ? osqual.card("Files that cannot be read", osqual.list(found.problems)) : "";
}
