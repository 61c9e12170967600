// Every mute: what, where, why, since when and until when.
"use strict";

osqual.pages.mutes = function mutesPage(view, catalogue) {
  const { el } = osqual;
  const mutes = osqual.data.get("mutes");
  if (!mutes.length) {
    view.replaceChildren(el("p.card.empty", {}, "No test is muted."));
    return;
  }
  const now = Date.parse(catalogue.made);
  const rows = mutes.map((mute) => ({ ...mute, days: mute.since ? Math.floor((now - Date.parse(mute.since)) / 86400000) : -1 }));
  const oldest = Math.max(1, ...rows.map((row) => row.days));
  const kinds = [
    ["expired", (mute) => mute.expired],
    ["without a ticket", (mute) => !mute.ticket],
    ["without a reason", (mute) => !mute.reason],
    ["hide other tests too", (mute) => mute.hides],
    ["without an end", (mute) => !mute.until],
  ];
  const wanted = osqual.params().get("kind") ?? "";
  const kind = el("select", { id: "kind" }, [["", "all"], ...kinds].map(([name]) =>
    el("option", { value: name, selected: name === wanted }, name ? `${name} (${rows.filter(kinds.find(([other]) => other === name)?.[1] ?? (() => true)).length})` : `all (${rows.length})`)));
  const search = el("input", { type: "search", id: "search" });
  const table = osqual.table({
    caption: "Muted tests, the oldest first",
    rows,
    sort: 1,
    descending: true,
    columns: [
      { title: "test", value: (mute) => mute.test, show: (mute) => testCell(mute), head: true },
      { title: "age", value: (mute) => mute.days, show: (mute) => age(mute, oldest) },
      { title: "why", value: (mute) => mute.reason ?? "", show: (mute) => why(mute) },
      { title: "until", value: (mute) => mute.until ?? "", show: (mute) => until(mute) },
      { title: "configurations", value: (mute) => mute.configurations?.length ?? 0, show: (mute) => where(catalogue, mute), number: true },
      { title: "how", value: (mute) => `${mute.how} ${mute.source}`, show: (mute) => el("span.small", {}, mute.how, el("br"), el("span.soft", {}, osqual.isolated(`${mute.source}${mute.line ? `:${mute.line}` : ""}`))) },
    ],
  });
  function filter() {
    const test = kinds.find(([name]) => name === kind.value)?.[1] ?? (() => true);
    const text = search.value.toLowerCase();
    table.show(rows.filter((mute) => test(mute) && `${mute.test} ${mute.reason} ${mute.ticket} ${mute.source}`.toLowerCase().includes(text)));
    osqual.setParams(new URLSearchParams(kind.value ? { kind: kind.value } : {}));
  }
  kind.addEventListener("change", filter);
  search.addEventListener("input", filter);
  if (wanted) filter();
  view.replaceChildren(
    el("div.controls", {}, el("div.control", {}, el("label", { for: "kind" }, "Show"), kind), el("div.control", {}, el("label", { for: "search" }, "Search"), search)),
    el("section.card", {}, table),
  );
};

function testCell(mute) {
  const { el } = osqual;
  return el(
    "span",
    {},
    osqual.isolated(mute.test),
    mute.hides ? el("div.small", {}, el("span.badge.i", {}, "also hides"), " ", osqual.isolated(mute.hides.join(", "))) : "",
    mute.leftOut ? el("details.small", {}, el("summary", {}, `${mute.leftOut.length} left out`), osqual.list(mute.leftOut.map(osqual.isolated))) : "",
  );
}

function age(mute, oldest) {
  const { el } = osqual;
  if (mute.days < 0) return el("span.soft", {}, "not known");
  const words = mute.days < 60 ? osqual.plural(mute.days, "day") : mute.days < 730 ? `${Math.round(mute.days / 30.4)} months` : `${(mute.days / 365.25).toFixed(1)} years`;
  return el("div.age", {}, osqual.bar([{ offset: 0, share: (100 * mute.days) / oldest, state: mute.days > 365 ? "r" : "i" }], words), el("span.small", {}, words));
}

function why(mute) {
  const { el } = osqual;
  const ticket = /^https?:\/\//.test(mute.ticket ?? "")
    ? el("a", { href: mute.ticket, rel: "noreferrer" }, osqual.isolated(mute.ticket.split("/").pop() || mute.ticket))
    : mute.ticket ?? "";
  return el("span", {}, mute.reason ? osqual.isolated(mute.reason) : el("span.badge.i", {}, "no reason"), " ", ticket || el("span.badge.i", {}, "no ticket"), mute.owner ? el("span.soft", {}, ` ${mute.owner}`) : "");
}

function until(mute) {
  const { el } = osqual;
  if (!mute.until) return el("span.soft", {}, "no end");
  return el("span", {}, mute.until, mute.expired ? [" ", el("span.badge.r", {}, "expired")] : "");
}

function where(catalogue, mute) {
  const { el } = osqual;
  const numbers = mute.configurations ?? [];
  if (!numbers.length) return "0";
  const open = () => osqual.dialog(mute.test, osqual.list(numbers.map((number) => osqual.configurationLink(catalogue, number))));
  return el("button.plain", { type: "button", onclick: open, "aria-label": `${osqual.plural(numbers.length, "configuration")} in which ${mute.test} is muted` }, String(numbers.length));
}
