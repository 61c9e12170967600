// The page of one run, with what the server knows: steps, log and consoles as they grow, buttons.
"use strict";

const LINES_KEPT = 2000;

(function liveRun() {
  const drawn = osqual.pages.run;
  if (!drawn) return;
  let stop = () => {};

  osqual.pages.run = async function runPage(view, catalogue) {
    stop();
    await Promise.all([drawn(view, catalogue), osqual.live.ready]);
    const id = osqual.params().get("run");
    if (id) stop = attach(view, id);
  };

  function attach(view, id) {
    const { el } = osqual;
    const path = `live/runs/${encodeURIComponent(id)}`;
    const state = el("p", {});
    const steps = el("div");
    const log = el("pre.live-log", { tabindex: "0", role: "region", "aria-label": "log" });
    const files = el("div");
    const buttons = el("div.live-line");
    const said = el("p", { role: "status" });
    const box = el("section.card", { id: "live" }, el("h2", {}, "Live"), state, steps, buttons, said);
    let run = null;
    let offset = 0;
    let stopFile = () => {};
    const append = appender(log);

    function tell() {
      if (!run) return;
      const now = Date.now() / 1000 + offset;
      const left = run.state === "b" ? osqual.live.left(run, now) : "";
      const words = [run.ended ? `took ${osqual.live.elapsed(run, now)}` : `for ${osqual.live.elapsed(run, now)}`, left, run.cancels && !run.ended ? "asked to stop" : ""];
      state.replaceChildren(osqual.state(run.state), " ", el("span.soft", {}, words.filter(Boolean).join(" · ")));
    }

    function show(told) {
      offset = told.now - Date.now() / 1000;
      const first = run === null;
      const before = run?.state;
      run = told;
      if (first) {
        view.prepend(box);
        box.append(el("h3", {}, "Log"), log, files);
      }
      tell();
      steps.replaceChildren(osqual.live.steps(run));
      if (before !== run.state) drawButtons();
      drawFiles();
    }

    function drawButtons() {
      const disabled = !osqual.live.signedIn;
      const why = disabled ? el("span.soft", {}, "Sign in to use it.") : "";
      const button = run.state === "b"
        ? el("button.plain.danger", { type: "button", disabled, onclick: act("cancel", () => "Asked to stop; it ends what it has started.") }, "Cancel")
        : el("button.plain", { type: "button", disabled, onclick: act("rerun", begun) }, "Run again on this image");
      buttons.replaceChildren(button, why);
    }

    function act(what, words) {
      return async (event) => {
        const button = event.currentTarget;
        button.disabled = true;
        said.textContent = "Asking …";
        try {
          const told = await osqual.live.act(`${path}/${what}`);
          said.replaceChildren(words(told));
        } catch (error) {
          said.replaceChildren(osqual.isolated(error.message));
        }
        button.disabled = false;
      };
    }

    function begun(told) {
      if (told.run) return el("a", { href: osqual.link("run", { c: told.configuration, run: told.run }) }, `It runs: ${told.run}`);
      if (told.waiting) return "It has been started, and has not begun yet.";
      return told.job ? `It waits for a worker: job-${told.job}` : "It waits for a worker already.";
    }

    function drawFiles() {
      const known = String(run.files);
      if (files.dataset.known === known) return;
      files.dataset.known = known;
      if (!run.files.length) return files.replaceChildren();
      const chosen = files.querySelector("select")?.value ?? "";
      const shown = files.querySelector("pre") ?? el("pre.live-log", { tabindex: "0", role: "region", "aria-label": "file", hidden: true });
      const select = el("select", { "aria-label": "Console or log" }, el("option", { value: "" }, "none"),
        run.files.map((name) => el("option", { value: name, selected: name === chosen }, name)));
      select.addEventListener("change", () => {
        stopFile();
        shown.hidden = !select.value;
        shown.replaceChildren();
        if (!select.value) return;
        const appendText = appender(shown);
        stopFile = osqual.live.follow(`${path}/file?${new URLSearchParams({ name: select.value })}`, {
          text: (told) => appendText(told.text.split(/(?<=\n)/), told.fresh),
        });
      });
      files.replaceChildren(el("h3", {}, "Consoles and logs"), el("p", {}, select), shown);
      return undefined;
    }

    const end = osqual.live.follow(path, {
      run: show,
      lines: (told) => append(told.lines.map((line) => `${line}\n`), told.fresh),
    });
    const clock = setInterval(tell, 1000);
    return () => {
      end();
      stopFile();
      clearInterval(clock);
    };
  }

  // Adds text, and stays at its end for a reader who is there.
  function appender(place) {
    return (lines, fresh) => {
      const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
      if (fresh) place.replaceChildren();
      for (const line of lines) place.append(line);
      while (place.childNodes.length > LINES_KEPT) place.firstChild.remove();
      if (atEnd) place.scrollTop = place.scrollHeight;
    };
  }
})();
