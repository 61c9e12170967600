// Pieces that several pages show: states, strips, copy buttons, hints, dialogs, cards.
"use strict";

osqual.sign = (letter) => osqual.el("span.sign", { "aria-hidden": "true", class: letter }, osqual.states[letter].sign);

osqual.state = (letter) =>
  osqual.el("span.state", { class: letter }, osqual.sign(letter), osqual.states[letter].name);

osqual.outcome = (name) =>
  osqual.el(
    "span.state",
    { class: name === "skip" ? "skip-outcome" : name },
    osqual.el("span.sign", { "aria-hidden": "true" }, osqual.outcomes[name]?.sign ?? "·"),
    name,
  );

osqual.card = (title, ...children) =>
  osqual.el("section.card", {}, osqual.el("h2", {}, title), ...children);

osqual.facts = (pairs) =>
  osqual.el(
    "dl.facts",
    {},
    pairs
      .filter(([, value]) => value !== "" && value !== null && value !== undefined)
      .flatMap(([name, value]) => [osqual.el("dt", {}, name), osqual.el("dd", {}, value)]),
  );

osqual.list = (items) => osqual.el("ul.list", {}, items.map((item) => osqual.el("li", {}, item)));
osqual.isolated = (text) => osqual.el("bdi", {}, text);

osqual.configurationLink = function configurationLink(catalogue, number) {
  const path = catalogue.paths[number] ?? "";
  return osqual.el("a", { href: osqual.link("configuration", { c: path }) }, osqual.isolated(path));
};

osqual.runLink = (catalogue, run) =>
  osqual.link("run", { c: catalogue.paths[run.configuration], run: run.id });

// A history: one sign a run, oldest first, each leading to its run.
osqual.runStrip = (catalogue, runs) =>
  osqual.el(
    "ul.strip",
    { "aria-label": "history, oldest first" },
    runs.map((run) => {
      const state = osqual.states[run.state];
      const text = `${state.name}, ${osqual.moment(run.started)}`;
      return osqual.el(
        "li",
        {},
        osqual.el("a", { href: osqual.runLink(catalogue, run), class: run.state, "aria-label": text, "data-tip": text }, state.sign),
      );
    }),
  );

osqual.letterStrip = (letters) =>
  osqual.el(
    "span.strip",
    { role: "img", "aria-label": `history, oldest first: ${[...letters].map((letter) => osqual.states[letter].name).join(", ")}` },
    [...letters].map((letter) => osqual.el("span", { class: letter, "aria-hidden": "true" }, osqual.states[letter].sign)),
  );

osqual.bar = function bar(parts, label) {
  const { svg } = osqual;
  const drawn = svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": label });
  drawn.append(svg("rect", { class: "rail", x: 0, y: 0, width: 100, height: 8, rx: 1 }));
  for (const { offset, share, state } of parts) {
    drawn.append(svg("rect", { class: `part ${state ?? ""}`, x: offset, y: 0, width: Math.max(share, 0.6), height: 8, rx: 1 }));
  }
  return drawn;
};

osqual.copyButton = function copyButton(text, what) {
  const button = osqual.el("button.copy", { type: "button", "aria-label": `copy ${what}` }, "copy");
  button.addEventListener("click", async () => {
    button.textContent = (await copied(text)) ? "copied" : "not copied";
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
  return button;
};

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = osqual.el("textarea", { "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

// A hint on whatever has data-tip, and on cells of the matrix, for the pointer and for the keyboard.
osqual.hints = function hints() {
  let tip = null;
  let owner = null;
  const hide = () => {
    tip?.remove();
    tip = null;
  };
  const show = (event) => showFor(event.target.closest?.("[data-tip], .cell"));
  const showFor = (target) => {
    hide();
    if (!target) return;
    owner = target;
    tip = osqual.el("div.tip", { role: "presentation" }, target.dataset.tip ?? target.getAttribute("aria-label"));
    document.body.append(tip);
    const box = target.getBoundingClientRect();
    const below = box.bottom + tip.offsetHeight + 10 < innerHeight;
    tip.style.top = `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`;
    tip.style.left = `${Math.max(6, Math.min(box.left, innerWidth - tip.offsetWidth - 6))}px`;
  };
  document.addEventListener("pointerover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("focusout", hide);
  // Focus may scroll to what it is given to: the hint then goes along.
  const moved = () => (tip && owner === document.activeElement ? showFor(owner) : hide());
  document.addEventListener("scroll", moved, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
};

// A modal dialog that gives the focus back to where it was opened.
osqual.dialog = function dialog(title, ...children) {
  const close = osqual.el("button.plain", { type: "button", onclick: () => box.close() }, "close");
  const box = osqual.el(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    osqual.el("div.dialog-head", {}, osqual.el("h2", { id: "dialog-title" }, title), close),
    osqual.el("div.dialog-body", {}, ...children),
  );
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => event.target === box && box.close());
  document.body.append(box);
  box.showModal();
  return box;
};
