// The one global: pages register themselves in it, and data files call osqualData.
"use strict";

const osqual = { pages: {}, data: new Map() };

function osqualData(name, value) {
  osqual.data.set(name, value);
}

// A page that was opened as a file may not fetch, but it may load a script.
osqual.load = function load(name) {
  if (osqual.data.has(name)) return Promise.resolve(osqual.data.get(name));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.onload = () => resolve(osqual.data.get(name));
    script.onerror = () => reject(new Error(`data/${name}.js is missing: make the site anew`));
    document.head.append(script);
  });
};

// What the reader chose is in the fragment: it works for files, and a link brings it back.
osqual.params = () => new URLSearchParams(location.hash.slice(1));

osqual.setParams = function setParams(params) {
  const text = params.toString();
  history.replaceState(null, "", text ? `#${text}` : "#");
};

osqual.link = (page, values) => `${page}.html#${new URLSearchParams(values)}`;

// An element from its name, attributes and children. Text stays text: nothing is ever parsed.
osqual.el = function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.classList.add(...String(value).split(" ").filter(Boolean));
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
};

osqual.svg = function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

osqual.day = (days) => (days ? new Date(days * 86400000).toISOString().slice(0, 10) : "");
osqual.moment = (seconds) =>
  seconds ? new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") : "";

osqual.duration = function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
};

osqual.plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
osqual.words = (name) => name.replaceAll("_", " ");
