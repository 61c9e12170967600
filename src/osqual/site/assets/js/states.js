// Standings, states and outcomes: each has a sign, a name, and what it proves.
"use strict";

osqual.states = {
  q: { sign: "✓", name: "qualified", proves: "These very images were booted as a cluster, the product was installed, and every test that counts passed." },
  u: { sign: "○", name: "published without evidence", proves: "Images are published, and no record tells that anything was tested on them." },
  i: { sign: "?", name: "inconclusive", proves: "The last run did not come to its end, or its results cannot be relied on. It proves nothing, good or bad." },
  r: { sign: "✗", name: "rejected", proves: "A test that counts failed on these images." },
  n: { sign: "–", name: "no image", proves: "The configuration is there; nothing is published for it." },
  b: { sign: "…", name: "running", proves: "It was running when these pages were made." },
  d: { sign: "!", name: "died", proves: "Its process is gone without an end." },
};
osqual.standings = ["q", "u", "i", "r", "n"];

osqual.stateNames = Object.fromEntries(
  Object.entries(osqual.states).map(([letter, state]) => [state.name, letter]),
);

osqual.outcomes = {
  pass: { sign: "✓" },
  fail: { sign: "✗" },
  error: { sign: "✗" },
  flaky: { sign: "≈" },
  muted: { sign: "∅" },
  skip: { sign: "–" },
};
