// What has been decided. It is kept over reloads where the browser allows it, and can be undone.

const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows;
const STORE = `skdiffusion_label.review.${data.fingerprint}`;

const state = {
  // By row: {decision, label, time, control}. Rows of other pages of the same data are among them.
  decisions: new Map(),
  undone: [], // what there was before each decision, to go back to
  reviewer: "",
  isSaved: true, // whether all decisions have been downloaded
  isBlind: data.blind,
  usesKeys: true,
  current: null, // index in rows
};

const decisionOf = (index) => state.decisions.get(rows[index].row);
const isDecided = (index) => state.decisions.has(rows[index].row);
const isHidden = (index) => state.isBlind && !isDecided(index);
const nDecided = () => rows.reduce((n, _, index) => n + isDecided(index), 0);

// label: code of a class, or null to exclude the row.
function decide(index, label) {
  const row = rows[index];
  state.undone.push({ index, before: decisionOf(index) });
  state.decisions.set(row.row, {
    decision: label === null ? "exclude" : label === row.given ? "keep" : "relabel",
    label,
    time: new Date().toISOString(),
    control: row.control,
  });
  state.isSaved = false;
  remember();
}

// Take back the last decision, and return the index of its row, or null.
function undo() {
  const last = state.undone.pop();
  if (!last) return null;
  const { row } = rows[last.index];
  if (last.before) state.decisions.set(row, last.before);
  else state.decisions.delete(row);
  state.isSaved = nDecided() === 0;
  remember();
  return last.index;
}

// Pages opened from disk may be refused a store; decisions then last as long as the page.
function remember() {
  const { reviewer, isSaved } = state;
  const decisions = [...state.decisions].map(([row, decided]) => [
    row,
    { ...decided, label: decided.label === null ? null : data.classes[decided.label] },
  ]);
  try {
    localStorage.setItem(STORE, JSON.stringify({ decisions, reviewer, isSaved }));
  } catch {
    /* nothing is kept */
  }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE));
    if (!kept) return;
    const planted = new Map(rows.map((row) => [row.row, row.control]));
    for (const [row, decided] of kept.decisions) {
      const label = decided.label === null ? null : data.classes.indexOf(decided.label);
      // A row that is planted here, and was not there, is another question.
      const isSame = (planted.get(row) ?? decided.control) === decided.control;
      if (label !== -1 && isSame) state.decisions.set(row, { ...decided, label });
    }
    state.reviewer = kept.reviewer;
    state.isSaved = kept.isSaved || nDecided() === 0;
  } catch {
    /* nothing was kept */
  }
}

// How often the reviewer is wrong about rows that are certainly right, with Wilson's interval.
function errorOnControls() {
  const judged = rows.filter((row) => row.control && state.decisions.has(row.row));
  const n = judged.length;
  const wrong = judged.filter((row) => state.decisions.get(row.row).decision !== "keep").length;
  if (!n) return null;
  const z = 1.96; // of a normal distribution, 95 % lie within
  const center = (wrong + (z * z) / 2) / (n + z * z);
  const half = (z / (n + z * z)) * Math.sqrt((wrong * (n - wrong)) / n + (z * z) / 4);
  return { n, wrong, low: Math.max(0, center - half), high: Math.min(1, center + half) };
}
