// The matrix as a table: drawn in batches, walked with the arrow keys.
"use strict";

// What a reader waits for is the first screen; the rest is drawn as they come near to it.
const CELLS_AT_FIRST = 500;
const CELLS_A_BATCH = 1000;
const ROW_PX = 38;

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
  const wide = Math.max(1, grouped.cols.length);
  const batch = Math.max(8, Math.floor(CELLS_A_BATCH / wide));
  const screen = Math.ceil(innerHeight / ROW_PX);
  const opening = new WeakMap();
  let drawn = 0;

  function append(count) {
    const next = grouped.rows.slice(drawn, drawn + count);
    body.append(...next.map((row, place) => line(row, drawn + place)));
    drawn += next.length;
    if (drawn >= grouped.rows.length) watcher.disconnect();
  }

  function line(row, place) {
    const cells = grouped.cells.get(row.key);
    const where = row.parts.join(", ");
    const drawnRow = el("tr", { "aria-rowindex": place + 2 }, el("th", { scope: "row" }, label(row.parts) || "all"));
    for (const col of grouped.cols) {
      const cell = document.createElement("td");
      const numbers = cells.get(col.key);
      if (numbers) cell.append(cellButton(numbers, [where, ...col.parts].filter(Boolean).join(", ")));
      drawnRow.append(cell);
    }
    return drawnRow;
  }

  // By hand, not with `el`: there are thousands. One listener of the table opens all of them, and
  // what a hint shows is the label.
  function cellButton(numbers, where) {
    const counts = model.countStandings(numbers);
    const button = document.createElement("button");
    const said = [];
    for (const letter of osqual.standings) {
      const count = counts[letter];
      if (!count) continue;
      said.push(`${count} ${osqual.states[letter].name}`);
      button.append(sign(letter, count));
    }
    button.type = "button";
    button.tabIndex = -1;
    button.className = `cell ${said.length === 1 ? Object.keys(counts)[0] : "mixed"}`;
    button.setAttribute("aria-label", `${where}: ${said.join(", ")}`);
    opening.set(button, [numbers, where]);
    return button;
  }

  function sign(letter, count) {
    const shown = document.createElement("span");
    shown.className = letter;
    shown.textContent = osqual.states[letter].sign;
    if (count > 1) {
      const small = document.createElement("small");
      small.textContent = count;
      shown.append(small);
    }
    return shown;
  }

  table.addEventListener("click", (event) => {
    const button = event.target.closest(".cell");
    if (button) open(...opening.get(button));
  });

  const watcher = new IntersectionObserver(
    (seen) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      append(batch);
      if (drawn === grouped.rows.length) return;
      watcher.unobserve(sentinel); // where the end is still near it is told again
      watcher.observe(sentinel);
    },
    { root: null, rootMargin: "600px", scrollMargin: "600px" },
  );
  append(Math.max(4, Math.min(screen, Math.floor(CELLS_AT_FIRST / wide))));
  if (drawn < grouped.rows.length) watcher.observe(sentinel);
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
