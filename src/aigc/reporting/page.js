// The theme: that of the system, unless the reader chose one. It is set before the body is drawn.
(() => {
  const key = "aigc-theme", system = matchMedia("(prefers-color-scheme: dark)");
  const themeOf = isDark => isDark ? "dark" : "light";
  let chosen = null;
  try { chosen = localStorage.getItem(key); } catch { /* storage is not allowed */ }

  function show(theme) {
    document.documentElement.dataset.theme = theme;
    document.getElementById("theme")?.setAttribute("aria-pressed", theme === "dark");
  }

  function choose(theme) {
    chosen = theme === themeOf(system.matches) ? null : theme;
    try {
      if (chosen) localStorage.setItem(key, chosen); else localStorage.removeItem(key);
    } catch { /* as above */ }
    show(theme);
  }

  show(chosen ?? themeOf(system.matches));
  system.addEventListener("change", () => { if (!chosen) show(themeOf(system.matches)); });
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click",
      () => choose(themeOf(document.documentElement.dataset.theme !== "dark")));
    show(document.documentElement.dataset.theme);
  });
})();

addEventListener("DOMContentLoaded", () => {
  // Tables that sort. Rows of later bodies (floor, ceiling) stay where they are.
  const first = cell => (cell.firstChild?.textContent ?? "").trim();
  const asNumber = cell => parseFloat(first(cell).replaceAll(",", ""));

  function sort(table, column) {
    const head = table.tHead.rows[0].cells[column], isNumber = head.classList.contains("n");
    const before = head.getAttribute("aria-sort");
    const best = isNumber && head.textContent.includes("↑") ? "descending" : "ascending";
    const other = best === "ascending" ? "descending" : "ascending";
    const order = before === best ? other : best, sign = order === "ascending" ? 1 : -1;
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const compare = (a, b) => {
      if (!isNumber) return sign * first(a).localeCompare(first(b));
      const [x, y] = [asNumber(a), asNumber(b)];
      return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);  // what has no number comes last
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(
      (a, b) => compare(a.cells[column], b.cells[column])));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column));
    });
    table.caption.append(" Select the title of a column to sort by it.");
  }

  // The Tab key stops at a table only where it scrolls.
  const boxes = document.querySelectorAll(".scroll");
  const watch = new ResizeObserver(entries => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of boxes) watch.observe(box);
});
