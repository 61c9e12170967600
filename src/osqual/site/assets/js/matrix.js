// The support matrix: totals, controls, table, and what is behind each cell.
"use strict";

osqual.pages.index = function matrixPage(view, catalogue) {
  const { el } = osqual;
  const model = osqual.matrixModel(catalogue);
  const choice = osqual.matrixChoice.read(catalogue);
  const totals = el("ul.totals");
  const share = el("div.share", { "aria-hidden": "true" });
  const axes = el("div.axes", { role: "group", "aria-label": "Rows, columns and filters" });
  const count = el("p.count", { role: "status" });
  const place = el("div");
  const search = el("input", { type: "search", id: "text", value: choice.text, placeholder: "in paths: centos 2.0" });
  const reset = el("button.plain", { type: "button" }, "show everything");
  const controls = el(
    "div.controls",
    {},
    el("label.axis", {}, el("span.axis-name", {}, "Search"), search),
    axes,
    reset,
  );
  view.replaceChildren(totals, share, controls, count, place, legend());

  search.addEventListener("input", () => {
    choice.text = search.value;
    update();
  });
  reset.addEventListener("click", () => {
    osqual.setParams(new URLSearchParams());
    matrixPage(view, catalogue);
  });
  document.addEventListener("click", function closeLists(event) {
    if (!axes.isConnected) document.removeEventListener("click", closeLists);
    for (const open of axes.querySelectorAll("details[open]")) if (!open.contains(event.target)) open.open = false;
  });
  axes.addEventListener("keydown", (event) => {
    const open = event.target.closest("details[open]");
    if (event.key !== "Escape" || !open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });

  function drawAxes() {
    axes.replaceChildren(
      ...catalogue.dimensions.map((name) =>
        osqual.axisControl(catalogue, choice, name, () => {
          update();
        }),
      ),
    );
  }

  function update() {
    const began = performance.now();
    osqual.matrixChoice.write(catalogue, choice);
    const { found, counts } = model.filter(choice);
    drawTotals(counts);
    const grouped = model.group(found, choice.rows, choice.cols);
    const names = { rows: choice.rows.map(osqual.words).join(", "), cols: choice.cols.map(osqual.words).join(", ") };
    place.replaceChildren(
      found.length
        ? osqual.matrixTable({ grouped, names, model, open: (numbers, where) => drillDown(catalogue, numbers, where) })
        : el("p.card.empty", {}, catalogue.paths.length ? "Nothing matches these filters." : "The catalogue has no configuration yet."),
    );
    count.textContent = `${found.length} of ${osqual.plural(catalogue.paths.length, "configuration")}. Arrow keys walk through the cells, Enter opens one.`;
    reset.hidden = !location.hash.slice(1);
    osqual.lastUpdateMs = performance.now() - began;
  }

  function drawTotals(counts) {
    totals.replaceChildren(
      ...osqual.standings.map((letter) => {
        const pressed = choice.standings.has(letter);
        const button = el(
          "button.total",
          { type: "button", class: letter, "aria-pressed": String(pressed), "data-letter": letter },
          osqual.sign(letter),
          el("b", {}, String(counts[letter] ?? 0)),
          el("span", {}, osqual.states[letter].name),
        );
        button.addEventListener("click", () => {
          if (pressed) choice.standings.delete(letter);
          else choice.standings.add(letter);
          update();
          totals.querySelector(`[data-letter="${letter}"]`).focus();
        });
        return el("li", {}, button);
      }),
    );
    share.replaceChildren(
      ...osqual.standings
        .filter((letter) => counts[letter])
        .map((letter) => {
          const part = el("i", { class: letter });
          part.style.flexGrow = counts[letter];
          return part;
        }),
    );
  }

  function legend() {
    return el(
      "section.card.legend",
      {},
      el("h2", {}, "What each sign proves"),
      el(
        "dl",
        {},
        osqual.standings.flatMap((letter) => [
          el("dt", {}, osqual.state(letter)),
          el("dd", {}, osqual.states[letter].proves),
        ]),
      ),
    );
  }

  drawAxes();
  update();
};

function drillDown(catalogue, numbers, where) {
  const { el } = osqual;
  osqual.dialog(
    where,
    el("p.soft", {}, osqual.plural(numbers.length, "configuration")),
    osqual.table({
      caption: "What stands here",
      rows: numbers,
      columns: [
        { title: "configuration", value: (n) => catalogue.paths[n], show: (n) => osqual.configurationLink(catalogue, n), head: true },
        { title: "standing", value: (n) => osqual.standings.indexOf(catalogue.standing[n]), show: (n) => osqual.state(catalogue.standing[n]) },
        { title: "since", value: (n) => catalogue.when[n], show: (n) => osqual.day(catalogue.when[n]), number: true },
        { title: "history", show: (n) => (catalogue.history[n] ? osqual.letterStrip(catalogue.history[n].slice(-8)) : "") },
        { title: "regions", value: (n) => catalogue.images[n], show: (n) => String(catalogue.images[n]), number: true },
        { title: "mutes", value: (n) => catalogue.muted[n], show: (n) => String(catalogue.muted[n] || ""), number: true },
      ],
    }),
  );
}
