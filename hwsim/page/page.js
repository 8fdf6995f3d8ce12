"use strict";
// Sorting, filtering, tips and colours. Without this script the page still says everything.

const news = document.getElementById("news");
const byId = (key) => document.getElementById(key);

/* Colours: the reader's choice, kept where the browser allows a page from disk to keep anything. */
function colours() {
  const choice = byId("theme");
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  try {
    choice.value = localStorage.getItem("hwsim-theme") ?? "";
  } catch {
    choice.value = "";
  }
  apply(choice.value);
  choice.addEventListener("change", () => {
    apply(choice.value);
    try {
      localStorage.setItem("hwsim-theme", choice.value);
    } catch {
      return;
    }
  });
  choice.closest("label").hidden = false;
}

/* Sorting: numbers largest first, words from A; then the other way; then as it was. */
const NEXT = {
  number: { none: "descending", descending: "ascending", ascending: "none" },
  word: { none: "ascending", ascending: "descending", descending: "none" },
};

function sortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const kind = head.classList.contains("number") ? "number" : "word";
      const way = NEXT[kind][head.ariaSort ?? "none"];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (way !== "none") head.ariaSort = way;
      body.append(...ordered(original, place, kind, way));
      const said = way === "none" ? "in the original order" : `${way} by ${button.textContent}`;
      news.textContent = `Sorted ${said}.`;
    });
  });
}

function ordered(rows, place, kind, way) {
  if (way === "none") return rows;
  const sign = way === "ascending" ? 1 : -1;
  const value = (row) => row.cells[place].dataset.value;
  const words = new Intl.Collator("en", { numeric: true });
  const compare = kind === "number" ? (a, b) => a - b : words.compare;
  const known = rows.filter((row) => value(row) !== undefined);
  const unknown = rows.filter((row) => value(row) === undefined);
  return [...known.toSorted((a, b) => sign * compare(value(a), value(b))), ...unknown];
}

/* Filtering of the table of layers. */
function filters() {
  const form = byId("filters");
  if (!form) return;
  const rows = [...byId("layer-table").tBodies[0].rows];
  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const name = wanted.name.trim().toLowerCase();
    const fits = (row) =>
      row.dataset.name.toLowerCase().includes(name) &&
      ["side", "op", "bound"].every((key) => !wanted[key] || row.dataset[key] === wanted[key]) &&
      (wanted.fused || !row.dataset.fused);
    rows.forEach((row) => (row.hidden = !fits(row)));
    const left = rows.filter((row) => !row.hidden).length;
    byId("count").textContent = `${left} of ${rows.length} rows`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
  document.querySelectorAll(".only").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      form.reset();
      form.elements.side.value = button.dataset.side;
      apply();
      form.elements.side.focus({ preventScroll: true });
      byId("layers").scrollIntoView();
    });
  });
}

/* One of the tables that stand side by side at a time. */
function quantities() {
  const choice = byId("quantities");
  if (!choice) return;
  const apply = () => {
    choice.querySelectorAll("input").forEach((input) => {
      byId(input.value).closest(".scroll").hidden = !input.checked;
    });
  };
  choice.addEventListener("change", apply);
  choice.hidden = false;
  apply();
}

/* Tips: what a mark says of itself, under the pointer or at the focus; Escape hides them. */
function tips() {
  const tip = byId("tip");
  const said = (target) => target.closest?.("a")?.querySelector("[aria-label]") ??
    target.closest?.(".role-mark [aria-label]");
  const hide = () => (tip.hidden = true);
  const show = (mark) => {
    const lines = mark.getAttribute("aria-label").split("; ").map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    });
    tip.replaceChildren(...lines);
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const left = Math.max(8, Math.min(right, box.left + box.width / 2 - tip.offsetWidth / 2));
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above > 8 ? above : box.bottom + 8) + scrollY}px`;
  };
  document.querySelectorAll("figure svg").forEach((chart) => {
    const look = (event) => {
      const mark = said(event.target);
      if (mark) show(mark);
    };
    chart.addEventListener("pointerover", look);
    chart.addEventListener("focusin", look);
    chart.addEventListener("focusout", hide);
    chart.addEventListener("pointerout", (event) => {
      if (event.relatedTarget !== tip && !tip.contains(event.relatedTarget)) hide();
    });
  });
  tip.addEventListener("pointerleave", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

/* Folded parts: a link to one unfolds it, and those around it. */
function unfolding() {
  const open = () => {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (target?.tagName !== "DETAILS") return;
    for (let part = target; part; part = part.parentElement.closest("details")) part.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  open();
  const all = byId("unfold");
  if (!all) return;
  all.hidden = false;
  all.addEventListener("click", () => {
    const unfold = all.ariaPressed !== "true";
    document.querySelectorAll("#mappings details").forEach((each) => (each.open = unfold));
    all.ariaPressed = String(unfold);
  });
}

colours();
document.querySelectorAll("table[data-sortable]").forEach(sortable);
filters();
quantities();
tips();
unfolding();
