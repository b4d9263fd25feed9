// What has been decided. It is kept over reloads where the browser allows it, and can be undone.

const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows;
const STORE = `skdiffusion_label.review.${data.fingerprint}`;

const state = {
  decisions: new Map(), // by row: {decision, label, time, control}
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
  state.isSaved = state.decisions.size === 0;
  remember();
  return last.index;
}

// Pages opened from disk may be refused a store; decisions then last as long as the page.
function remember() {
  const { decisions, reviewer, isSaved } = state;
  try {
    const kept = { decisions: [...decisions], reviewer, isSaved };
    localStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    /* nothing is kept */
  }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE));
    if (!kept) return;
    const control = new Map(rows.map((row) => [row.row, row.control]));
    const n = data.classes.length;
    const known = kept.decisions.filter(
      ([row, { label, control: planted }]) =>
        control.get(row) === planted && (label === null || (label >= 0 && label < n)),
    );
    state.decisions = new Map(known);
    state.reviewer = kept.reviewer;
    state.isSaved = kept.isSaved || !known.length;
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
