// The matrix without any page: filtering and grouping of configurations by their columns.
"use strict";

osqual.matrixModel = function matrixModel(catalogue) {
  const { columns, dimensions, paths, standing } = catalogue;
  const lower = paths.map((path) => path.toLowerCase());

  // choice: { rows, cols: dimension names; only: { dimension: Set of values }, standings: Set, text }
  // -> what it leaves, and how many of each standing there would be without a choice of standings
  function filter({ only, standings, text }) {
    const tests = Object.entries(only)
      .filter(([name, values]) => values.size && columns[name])
      .map(([name, values]) => [columns[name].of, places(name, values)]);
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    const counts = {};
    for (let number = 0; number < paths.length; number++) {
      if (!tests.every(([of, wanted]) => wanted[of[number]])) continue;
      if (!words.every((word) => lower[number].includes(word))) continue;
      const letter = standing[number];
      counts[letter] = (counts[letter] ?? 0) + 1;
      if (!standings.size || standings.has(letter)) found.push(number);
    }
    return { found, counts };
  }

  function places(name, values) {
    return columns[name].values.map((value) => values.has(value));
  }

  // Rows and columns sorted by version, and which configurations stand where they meet.
  function group(numbers, rows, cols) {
    const rowKeys = keysOf(rows);
    const colKeys = keysOf(cols);
    const cells = new Map();
    const rowSet = new Map();
    const colSet = new Map();
    for (const number of numbers) {
      const row = rowKeys(number);
      const col = colKeys(number);
      if (!rowSet.has(row)) rowSet.set(row, number);
      if (!colSet.has(col)) colSet.set(col, number);
      let line = cells.get(row);
      if (!line) cells.set(row, (line = new Map()));
      const cell = line.get(col);
      if (cell) cell.push(number);
      else line.set(col, [number]);
    }
    const label = (names) => ([key, number]) => ({
      key,
      parts: names.map((name) => columns[name].values[columns[name].of[number]] || "none"),
    });
    const byKey = (a, b) => a.key - b.key;
    return {
      rows: [...rowSet].map(label(rows)).sort(byKey),
      cols: [...colSet].map(label(cols)).sort(byKey),
      cells,
    };
  }

  // One number for several values, which sorts as they do one after the other.
  function keysOf(names) {
    const chosen = names.map((name) => columns[name]);
    return (number) => chosen.reduce((key, { of, values }) => key * values.length + of[number], 0);
  }

  function countStandings(numbers) {
    const counts = {};
    for (const number of numbers) counts[standing[number]] = (counts[standing[number]] ?? 0) + 1;
    return counts;
  }

  return { dimensions, filter, group, countStandings };
};
