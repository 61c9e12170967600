// What the reader chose for the matrix: in the address, and in the controls above the table.
"use strict";

osqual.matrixChoice = {
  // Axes that show something useful: the system in rows, the release in columns.
  defaults(catalogue) {
    const several = catalogue.dimensions.filter((name) => catalogue.columns[name].values.length > 1);
    const rows = ["os", "os_version"].filter((name) => catalogue.columns[name]);
    const cols = ["release"].filter((name) => catalogue.columns[name]);
    return {
      rows: rows.length ? rows : (several.length ? several : catalogue.dimensions).slice(0, 1),
      cols: cols.length ? cols : catalogue.dimensions.slice(-1),
    };
  },

  read(catalogue) {
    const params = osqual.params();
    const known = (text) => (text ?? "").split(",").filter((name) => catalogue.columns[name]);
    const { rows, cols } = this.defaults(catalogue);
    const only = {};
    for (const name of catalogue.dimensions) only[name] = new Set(params.getAll(name));
    return {
      rows: params.has("rows") ? known(params.get("rows")) : rows,
      cols: params.has("cols") ? known(params.get("cols")) : cols,
      only,
      standings: new Set([...(params.get("standing") ?? "")].filter((letter) => osqual.standings.includes(letter))),
      text: params.get("text") ?? "",
    };
  },

  write(catalogue, choice) {
    const defaults = this.defaults(catalogue);
    const params = new URLSearchParams();
    if (String(choice.rows) !== String(defaults.rows)) params.set("rows", choice.rows.join(","));
    if (String(choice.cols) !== String(defaults.cols)) params.set("cols", choice.cols.join(","));
    for (const name of catalogue.dimensions) for (const value of choice.only[name]) params.append(name, value);
    if (choice.standings.size) params.set("standing", [...choice.standings].join(""));
    if (choice.text) params.set("text", choice.text);
    osqual.setParams(params);
  },
};

// One control a dimension: whether it is in rows or columns, and which of its values are shown.
osqual.axisControl = function axisControl(catalogue, choice, name, changed) {
  const { el } = osqual;
  const { values } = catalogue.columns[name];
  const where = choice.rows.includes(name) ? "rows" : choice.cols.includes(name) ? "cols" : "";
  const places = [["", "not shown"], ["rows", "rows"], ["cols", "columns"]];
  const title = osqual.words(name);
  const axis = el(
    "select",
    { "aria-label": `${title}: in rows or columns` },
    places.map(([value, text]) => el("option", { value, selected: value === where }, text)),
  );
  axis.addEventListener("change", () => {
    for (const key of ["rows", "cols"]) choice[key] = choice[key].filter((other) => other !== name);
    if (axis.value) {
      choice[axis.value] = catalogue.dimensions.filter((each) => each === name || choice[axis.value].includes(each));
    }
    box.classList.toggle("active", Boolean(axis.value || chosen.size));
    changed();
  });
  const chosen = choice.only[name];
  const summary = el("summary", { "aria-label": `${title}: which values` }, chosen.size ? `${chosen.size} of ${values.length}` : "all");
  const pick = el("details.pick", {}, summary);
  pick.addEventListener("toggle", () => pick.open && pick.childElementCount === 1 && pick.append(valueList(values, chosen, title, () => {
    summary.textContent = chosen.size ? `${chosen.size} of ${values.length}` : "all";
    box.classList.toggle("active", Boolean(axis.value || chosen.size));
    changed();
  })));
  const box = el("div.axis", { class: where || chosen.size ? "active" : "" }, el("span.axis-name", {}, title), axis, pick);
  return box;
};

function valueList(values, chosen, title, changed) {
  const { el } = osqual;
  const labels = values.map((value) => {
    const box = el("input", { type: "checkbox", checked: chosen.has(value) });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(value);
      else chosen.delete(value);
      changed();
    });
    return el("label", {}, box, osqual.isolated(value || "none"));
  });
  const search = el("input", { type: "search", "aria-label": `search in ${title}`, placeholder: "search" });
  search.addEventListener("input", () => {
    const text = search.value.toLowerCase();
    labels.forEach((label, place) => (label.hidden = !values[place].toLowerCase().includes(text)));
  });
  return el("div.pick-list", { role: "group", "aria-label": title }, values.length > 12 ? search : null, labels);
}
