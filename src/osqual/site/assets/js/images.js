// Base images and what is built on each, as a table and as a graph.
"use strict";

osqual.pages.images = function imagesPage(view, catalogue) {
  const { el } = osqual;
  const { bases, unknown } = osqual.data.get("images");
  const wanted = osqual.params().get("image");
  const chosen = bases.find((base) => base.images.some(([image]) => image === wanted)) ?? bases[0];
  if (!chosen) {
    view.replaceChildren(el("p.card.empty", {}, "Nothing tells what any image is built on."));
    return;
  }
  const rows = bases.map((base) => ({ base, numbers: base.recipes.flatMap(([, numbers]) => numbers) }));
  view.replaceChildren(
    el("section.card", {}, osqual.table({
      caption: "Base images, the most used first",
      rows,
      sort: 2,
      descending: true,
      batch: 15,
      columns: [
        { title: "base image", value: ({ base }) => base.images[0][0], head: true, show: ({ base }) => el("a", { href: osqual.link("images", { image: base.images[0][0] }), "aria-current": base === chosen ? "true" : null }, el("code", {}, base.images[0][0])) },
        { title: "recipes", value: ({ base }) => base.recipes.length, number: true },
        { title: "configurations", value: ({ numbers }) => numbers.length, number: true },
        { title: "how they stand", show: ({ numbers }) => standings(catalogue, numbers) },
        { title: "of", value: ({ numbers }) => system(catalogue, numbers), show: ({ numbers }) => system(catalogue, numbers) },
      ],
    })),
    detail(catalogue, chosen),
    unknown.length ? el("section.card", {}, el("h2", {}, "Unknown ancestry"), el("details", {}, el("summary", {}, osqual.plural(unknown.length, "configuration")), osqual.list(unknown.map((number) => osqual.configurationLink(catalogue, number))))) : "",
  );
};

function detail(catalogue, base) {
  const { el } = osqual;
  const total = base.recipes.reduce((count, [, numbers]) => count + numbers.length, 0);
  return el(
    "section.card",
    { id: "chosen" },
    el("h2", {}, "Built on ", el("code", {}, base.images[0][0]), " ", osqual.copyButton(base.images[0][0], "the base image")),
    base.withdrawn ? el("p.r.state", {}, `✗ ${base.withdrawn.join("; ")}`) : "",
    osqual.facts(base.images.map(([image, region]) => [region, el("code", {}, image)])),
    base.from ? el("p", {}, "It is published by ", base.from.map((number) => osqual.configurationLink(catalogue, number))) : "",
    el("div.scroller", { tabindex: "0", role: "region", "aria-label": "graph" }, osqual.graph(catalogue, base)),
    el("details", {}, el("summary", {}, `the same as a list (${total})`), base.recipes.map(([digest, numbers]) =>
      el("div", {}, el("h3", {}, "recipe ", el("code", {}, digest.slice(0, 23))), osqual.list(numbers.map((number) =>
        el("span", {}, osqual.state(catalogue.standing[number]), " ", osqual.configurationLink(catalogue, number))))))),
  );
}

function standings(catalogue, numbers) {
  const { el } = osqual;
  return osqual.standings
    .map((letter) => [letter, numbers.filter((number) => catalogue.standing[number] === letter).length])
    .filter(([, count]) => count)
    .map(([letter, count]) => el("span.badge", { class: letter, "aria-label": `${count} ${osqual.states[letter].name}`, role: "img", "data-tip": osqual.states[letter].name }, `${osqual.states[letter].sign} ${count}`));
}

function system(catalogue, numbers) {
  return [...new Set(numbers.map((number) => catalogue.paths[number].split("/").slice(0, 2).join(" ")))].slice(0, 3).join(", ");
}
