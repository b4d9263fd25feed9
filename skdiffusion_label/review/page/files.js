// Decisions as files: CSV with a header, or JSON, the same fields in both.

const FIELDS = [
  ...["row", "id", "decision", "label", "given", "suggested"],
  ...["reviewer", "time", "fingerprint", "control"],
];
const className = (code) => (code === null || code < 0 ? "" : data.classes[code]);

function records() {
  return rows
    .filter((row) => state.decisions.has(row.row))
    .map((row) => {
      const { decision, label, time } = state.decisions.get(row.row);
      return {
        row: row.row,
        id: row.id,
        decision,
        label: className(label),
        given: className(row.given),
        suggested: className(row.suggested),
        reviewer: state.reviewer,
        time,
        fingerprint: data.fingerprint,
        control: row.control,
      };
    });
}

const asJson = () =>
  JSON.stringify(
    { version: 1, fingerprint: data.fingerprint, reviewer: state.reviewer, decisions: records() },
    null,
    1,
  );

function asCsv() {
  const lines = records().map((record) => FIELDS.map((field) => csvCell(record[field])).join(","));
  return [FIELDS.join(","), ...lines, ""].join("\n");
}

function csvCell(value) {
  const text = guarded(String(value));
  return /^[\w.:-]*$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`;
}

// A spreadsheet would take such a text for a formula. The reader takes one apostrophe away again.
function guarded(text) {
  const isNumber = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text);
  return /^'*[=+\-@\t\r]/.test(text) && !isNumber ? `'${text}` : text;
}

function fileName(extension) {
  const reviewer = state.reviewer.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
  const parts = ["decisions", data.fingerprint.slice(0, 8), reviewer];
  return parts.filter(Boolean).join("-") + extension;
}

function download(extension) {
  const isCsv = extension === ".csv";
  const type = `${isCsv ? "text/csv" : "application/json"};charset=utf-8`;
  const address = URL.createObjectURL(new Blob([isCsv ? asCsv() : asJson()], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = fileName(extension);
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  state.isSaved = true;
  remember();
}
