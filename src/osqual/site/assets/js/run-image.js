// What the image of a run holds: how it differs from its base, and its packages, to search in.
"use strict";

osqual.imageContentsCard = function imageContentsCard(run) {
  const { el } = osqual;
  const changes = Object.entries(run.imageChanges ?? {});
  if (!changes.length && !run.packages) return "";
  const card = osqual.card(
    "What the image holds",
    changes.length ? el("p.soft", {}, "Beside its base: + is new, - is gone, ~ has changed.") : "",
    ...changes.map(([title, lines]) =>
      el("details.box", {}, el("summary", {}, title), el("pre", { tabindex: "0" }, lines.join("\n")))),
    run.packages ? packagesBox(run) : "",
  );
  card.classList.add("wide");
  return card;
};

// The list comes when it is asked for.
function packagesBox(run) {
  const { el } = osqual;
  const box = el("details.box", { id: "packages" }, el("summary", {}, `all ${osqual.plural(run.packageCount, "package")}`));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.childElementCount > 1) return;
    const place = el("div", { role: "status" }, "Loading …");
    box.append(place);
    try {
      place.replaceWith(packageSearch(await osqual.load(run.packages)));
    } catch (error) {
      place.replaceChildren(error.message);
    }
  });
  return box;
}

function packageSearch(packages) {
  const { el } = osqual;
  const lower = packages.map((one) => one.join(" ").toLowerCase());
  const count = el("p.count", { role: "status" }, osqual.plural(packages.length, "package"));
  const table = osqual.table({
    caption: "Packages, as the image's own database has them",
    rows: packages,
    columns: [
      { title: "package", value: ([name]) => name, show: ([name]) => osqual.isolated(name), head: true },
      { title: "version", value: ([, version]) => version, show: ([, version]) => osqual.isolated(version) },
      { title: "kind", value: ([, , kind]) => kind },
    ],
  });
  const search = el("input", { type: "search", "aria-label": "search in packages", placeholder: "name, version" });
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = packages.filter((_, place) => words.every((word) => lower[place].includes(word)));
    count.textContent = `${found.length} of ${osqual.plural(packages.length, "package")}`;
    table.show(found);
  });
  return el("div", {}, el("p", {}, search), count, table);
}
