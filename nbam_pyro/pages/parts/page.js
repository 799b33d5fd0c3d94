"use strict";
(() => {
  const table = document.getElementById("suspicious");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const tools = document.getElementById("tools");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => texts.get(row).includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };

  const compare = (a, b) => {
    const [x, y] = [a.dataset.value, b.dataset.value];
    if (x !== undefined && y !== undefined) return Number(x) - Number(y);
    if (x !== undefined || y !== undefined) return x === undefined ? 1 : -1;
    return a.textContent.trim().localeCompare(b.textContent.trim(), undefined, { numeric: true });
  };

  const sort = (head) => {
    const at = head.cellIndex;
    const before = head.getAttribute("aria-sort");
    const numeric = head.classList.contains("number");
    const up = before === "none" ? !numeric : before === "descending";
    for (const other of head.parentElement.cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((a, b) => (up ? 1 : -1) * compare(a.cells[at], b.cells[at]));
    body.append(...rows);
  };

  for (const head of table.tHead.rows[0].cells) {
    if (!("sortable" in head.dataset)) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    button.addEventListener("click", () => sort(head));
    head.replaceChildren(button);
    head.setAttribute("aria-sort", head.dataset.sortable || "none");
  }
  search.addEventListener("input", show);
  tools.hidden = false;
  show();
})();
