// The page begins: what was kept is recalled, and buttons and fields are connected.

function start() {
  recall();
  for (const element of document.querySelectorAll(".script-only")) element.hidden = false;
  byId("static").hidden = true;
  const options = data.classes.map((name, code) =>
    el("option", { value: code }, name.trim() ? name : "blank name"),
  );
  byId("class-filter").append(...options);
  describePage();
  if (isNarrow()) byId("list-box").open = false;
  connect();
  rows.forEach((_, index) => showInList(index));
  byId("blind").checked = state.isBlind;
  state.current = rows.findIndex((_, index) => !isDecided(index));
  if (state.current < 0) state.current = rows.length ? 0 : null;
  showList();
  showProgress();
}

// What is left out, and what is planted.
function describePage() {
  const planted = rows.filter((row) => row.control).length;
  const left = data.n_doubted - (rows.length - planted);
  const more = "less suspicious rows are not on this page: write_review takes more max_rows.";
  byId("rest").textContent = left ? `${left} ${more}` : "";
  byId("about-controls").hidden = !planted;
  byId("about-controls").textContent =
    `${planted} of the rows are controls: their labels are certainly right, and their ` +
    "suggestions are made up. They show how often a reviewer errs.";
}

const KEY_OF_BUTTON = {
  ...{ keep: "k", accept: "a", other: "t", exclude: "x" },
  ...{ previous: "p", next: "n", undo: "u", finish: "d", "help-button": "?" },
};

function connect() {
  for (const [id, key] of Object.entries(KEY_OF_BUTTON)) {
    byId(id).addEventListener("click", commands[key]);
  }
  byId("blind").addEventListener("change", (event) => setBlind(event.target.checked));
  byId("use-keys").addEventListener("change", (event) => (state.usesKeys = event.target.checked));
  byId("search").addEventListener("input", showList);
  for (const id of ["class-filter", "status", "order"]) {
    byId(id).addEventListener("change", ({ target }) => {
      showList();
      if (!target.matches(":focus-visible")) target.blur(); // chosen by mouse: back to the keys
    });
  }
  byId("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    byId("search").blur();
  });
  byId("type").addEventListener("input", findClasses);
  byId("type").addEventListener("keydown", onTypeKey);
  byId("reviewer").addEventListener("input", (event) => {
    state.reviewer = event.target.value.trim();
    document.querySelector("#summary .file-name").textContent = fileName(".csv");
    remember();
  });
  for (const extension of [".csv", ".json"]) {
    byId(`download-${extension.slice(1)}`).addEventListener("click", () => {
      download(extension);
      showProgress();
      announce("Downloaded.");
    });
  }
  document.addEventListener("keydown", onKey);
  addEventListener("beforeunload", (event) => {
    if (state.isSaved) return;
    event.preventDefault();
    event.returnValue = true; // for browsers before 2024
  });
}

start();
