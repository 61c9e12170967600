// A table that sorts by its columns and shows its rows as they are needed.
"use strict";

// columns: { title, value(row) for sorting, show(row) for the cell, number, head, width }
osqual.table = function table({ caption, columns, rows, sort = 0, descending = false, batch = 100 }) {
  const { el } = osqual;
  const body = el("tbody");
  const heads = columns.map((column, place) => {
    const name = column.value
      ? el("button.sort", { type: "button", onclick: () => sortBy(place) }, column.title)
      : column.title;
    return el("th", { scope: "col", class: column.number ? "number" : "" }, name);
  });
  const more = el("button.plain", { type: "button", onclick: () => append() });
  let shown = 0;
  let current = rows;

  function append(count = batch) {
    const next = current.slice(shown, shown + count);
    body.append(...next.map((row) => el("tr", {}, columns.map((column) => cell(column, row)))));
    shown += next.length;
    more.hidden = shown >= current.length;
    more.textContent = `show more (${current.length - shown} left)`;
  }

  function cell(column, row) {
    const content = column.show ? column.show(row) : column.value(row);
    return column.head
      ? el("th", { scope: "row", class: columns.length > 3 ? "long" : "" }, content)
      : el("td", { class: column.number ? "number" : "" }, content);
  }

  function draw() {
    const { value } = columns[sort];
    if (value) {
      const order = descending ? -1 : 1;
      current = [...current].sort((a, b) => order * compare(value(a), value(b)));
    }
    heads.forEach((head, place) =>
      place === sort && columns[place].value
        ? head.setAttribute("aria-sort", descending ? "descending" : "ascending")
        : head.removeAttribute("aria-sort"),
    );
    body.replaceChildren();
    shown = 0;
    append();
  }

  function sortBy(place) {
    descending = place === sort ? !descending : Boolean(columns[place].number);
    sort = place;
    draw();
  }

  draw();
  const scroller = el(
    "div.scroller",
    { tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, heads)), body),
  );
  const box = el("div", { "data-batches": true }, scroller, more);
  box.drawAll = () => append(current.length);
  box.show = (found) => {
    current = found;
    draw();
  };
  return box;
};

function compare(a, b) {
  return typeof a === "number" && typeof b === "number"
    ? a - b
    : String(a).localeCompare(String(b), "en", { numeric: true });
}
