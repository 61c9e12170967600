// A graph in columns: base image, recipes on it, configurations of each.
"use strict";

const ROW = 30;
const MAX_NODES = 60;

osqual.graph = function graph(catalogue, base) {
  const { svg } = osqual;
  const recipes = base.recipes.map(([digest, numbers]) => ({ digest, numbers: numbers.slice(0, MAX_NODES) }));
  const leaves = recipes.flatMap(({ digest, numbers }) => numbers.map((number) => ({ digest, number }))).slice(0, MAX_NODES);
  const shown = recipes.filter(({ digest }) => leaves.some((leaf) => leaf.digest === digest));
  const height = Math.max(leaves.length, 1) * ROW + 20;
  const columns = { base: 10, recipe: 250, leaf: 430 };
  const drawn = svg("svg", { class: "graph", viewBox: `0 0 1100 ${height}`, role: "group", "aria-label": "what is built on this image" });
  const leafY = new Map(leaves.map((leaf, place) => [leaf.number, 10 + place * ROW]));
  const middle = (numbers) => {
    const places = numbers.filter((number) => leafY.has(number)).map((number) => leafY.get(number));
    return places.length ? (Math.min(...places) + Math.max(...places)) / 2 : 10;
  };
  const baseY = Math.max(10, height / 2 - 22);
  for (const { digest, numbers } of shown) {
    const y = middle(numbers);
    edge(drawn, columns.base + 200, baseY + 12, columns.recipe, y + 11);
    for (const number of numbers) {
      if (leafY.has(number)) edge(drawn, columns.recipe + 130, y + 11, columns.leaf, leafY.get(number) + 11);
    }
    drawn.append(box(columns.recipe, y, 130, `${digest.replace("sha256:", "").slice(0, 10)} · ${numbers.length}`, ""));
  }
  for (const { number } of leaves) {
    const letter = catalogue.standing[number];
    const path = catalogue.paths[number];
    const link = svg("a", { href: osqual.link("configuration", { c: path }), "aria-label": `${path}: ${osqual.states[letter].name}` });
    link.append(box(columns.leaf, leafY.get(number), 660, `${osqual.states[letter].sign}  ${path}`, letter));
    drawn.append(link);
  }
  drawn.append(box(columns.base, baseY, 200, base.images[0][0], "q"));
  return drawn;
};

function box(x, y, width, text, letter) {
  const { svg } = osqual;
  const limit = Math.floor(width / 6.9);
  const group = svg("g", { class: letter || "none" });
  group.append(svg("rect", { x, y, width, height: 23, rx: 6 }));
  group.append(svg("text", { x: x + 9, y: y + 15.5 }, text.length > limit ? `${text.slice(0, limit - 1)}…` : text));
  return group;
}

function edge(drawn, x1, y1, x2, y2) {
  const bend = (x1 + x2) / 2;
  drawn.append(osqual.svg("path", { class: "edge", d: `M${x1} ${y1} C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}` }));
}
