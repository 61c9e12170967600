// The matrix as a table: drawn in batches, walked with the arrow keys.
"use strict";

const CELLS_A_BATCH = 2500;

osqual.matrixTable = function matrixTable({ grouped, names, model, open }) {
  const { el } = osqual;
  const body = el("tbody");
  const head = el(
    "thead",
    {},
    el(
      "tr",
      {},
      el("th.corner", { scope: "col" }, names.rows || "all"),
      grouped.cols.map((col) => el("th", { scope: "col" }, label(col.parts) || "all")),
    ),
  );
  const table = el(
    "table.matrix",
    { "aria-rowcount": grouped.rows.length + 1 },
    el("caption.hidden", {}, `${names.rows || "everything"} by ${names.cols || "nothing"}; arrow keys walk, Enter opens`),
    head,
    body,
  );
  const sentinel = el("div", { "aria-hidden": "true" });
  const box = el("div.scroller.matrix-box", { "data-batches": true }, table, sentinel);
  const batch = Math.max(8, Math.floor(CELLS_A_BATCH / Math.max(1, grouped.cols.length)));
  let drawn = 0;

  function append(count) {
    const next = grouped.rows.slice(drawn, drawn + count);
    body.append(...next.map((row, place) => line(row, drawn + place)));
    drawn += next.length;
    if (drawn >= grouped.rows.length) watcher.disconnect();
  }

  function line(row, place) {
    const cells = grouped.cells.get(row.key);
    return el(
      "tr",
      { "aria-rowindex": place + 2 },
      el("th", { scope: "row" }, label(row.parts) || "all"),
      grouped.cols.map((col) => {
        const numbers = cells.get(col.key);
        return numbers ? el("td", {}, cellButton(numbers, row, col)) : el("td");
      }),
    );
  }

  function cellButton(numbers, row, col) {
    const counts = model.countStandings(numbers);
    const present = osqual.standings.filter((letter) => counts[letter]);
    const where = [...row.parts, ...col.parts].join(", ");
    const said = present.map((letter) => `${counts[letter]} ${osqual.states[letter].name}`).join(", ");
    return el(
      "button.cell",
      {
        type: "button",
        tabindex: "-1",
        class: present.length === 1 ? present[0] : "mixed",
        "aria-label": `${where}: ${said}`,
        "data-tip": `${where}: ${said}`,
        onclick: () => open(numbers, where),
      },
      present.map((letter) =>
        el("span", { class: letter }, osqual.states[letter].sign, counts[letter] > 1 ? el("small", {}, String(counts[letter])) : ""),
      ),
    );
  }

  const watcher = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && append(batch), {
    root: null,
    rootMargin: "600px",
  });
  append(batch);
  watcher.observe(sentinel);
  box.drawAll = () => append(grouped.rows.length);
  const first = body.querySelector(".cell");
  if (first) first.tabIndex = 0;
  walk(table, () => append(batch));
  return box;
};

function label(parts) {
  const { el } = osqual;
  return parts.map((part, place) => (place ? [" ", el("bdi.part", {}, part)] : el("bdi", {}, part))).flat();
}

// One cell is in the tab order; the arrow keys move to the next one that has something.
function walk(table, more) {
  table.addEventListener("focusin", (event) => {
    if (!event.target.matches(".cell")) return;
    for (const cell of table.querySelectorAll('.cell[tabindex="0"]')) cell.tabIndex = -1;
    event.target.tabIndex = 0;
  });
  table.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const step = steps[event.key];
    if (!step || !event.target.matches(".cell")) return;
    event.preventDefault();
    let row = event.target.closest("tr").sectionRowIndex;
    let col = event.target.closest("td").cellIndex;
    const rows = table.tBodies[0].rows;
    for (;;) {
      row += step[0];
      col += step[1];
      if (row === rows.length && step[0] > 0) more();
      const cell = rows[row]?.cells[col];
      if (!cell || col < 1) return;
      const button = cell.querySelector(".cell");
      if (button) {
        button.focus();
        button.scrollIntoView({ block: "nearest", inline: "nearest" });
        return;
      }
    }
  });
}
