// Draws the page: last of all scripts, when everything it needs has registered itself.
"use strict";

(function start() {
  const theme = document.getElementById("theme");
  const remembered = (() => {
    try {
      return localStorage.getItem("osqual-theme");
    } catch {
      return null;
    }
  })();
  if (remembered) document.documentElement.dataset.theme = remembered;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("osqual-theme", root.dataset.theme);
    } catch {
      // A browser that keeps nothing for files forgets it.
    }
    dispatchEvent(new Event("osqual-theme"));
  });

  const catalogue = osqual.data.get("catalogue");
  const view = document.getElementById("view");
  document.getElementById("made").textContent = [
    `Made by osqual ${catalogue.version} on ${catalogue.made.slice(0, 16).replace("T", " ")} UTC`,
    catalogue.commit ? `from commit ${catalogue.commit.slice(0, 12)}` : "",
  ].join(" ");
  osqual.hints();

  async function draw() {
    view.setAttribute("aria-busy", "true");
    try {
      await osqual.pages[document.body.dataset.page](view, catalogue);
    } catch (error) {
      view.replaceChildren(osqual.el("p.card", { role: "alert" }, error.message));
      if (!error.expected) console.error(error);
    }
    view.removeAttribute("aria-busy");
    performance.mark("osqual-drawn");
  }
  addEventListener("hashchange", draw);
  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll("[data-batches]")) box.drawAll();
  });
  draw();
})();

