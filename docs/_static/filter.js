// Long tables get a field above them: rows that lack one of its words are hidden. network:resnet looks in one column.
// Tables of one page with the same columns share the field, which stands above the first.
document.addEventListener("DOMContentLoaded", () => {
  const alike = new Map();
  for (const table of document.querySelectorAll("article table")) {
    const rows = [...table.querySelectorAll("tbody tr")];
    if (rows.length < 20) continue;
    table.classList.add("long");
    const columns = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim().toLowerCase());
    const key = columns.join("\n");
    if (!alike.has(key)) alike.set(key, { columns, first: table, rows: [] });
    alike.get(key).rows.push(...rows);
  }
  for (const { columns, first, rows } of alike.values()) {
    const field = document.createElement("input");
    field.type = "search";
    field.className = "filter";
    field.placeholder = `Filter ${rows.length} rows; ${columns[0]}:… looks in one column`;
    field.setAttribute("aria-label", field.placeholder);
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent.toLowerCase()));
    const holds = (cells, word) => {
      const [name, ...rest] = word.split(":");
      const column = rest.length && name ? columns.indexOf(name) : -1;
      return column < 0 ? cells.some((cell) => cell.includes(word)) : cells[column].includes(rest.join(":"));
    };
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach((row, i) => row.classList.toggle("filtered-out", !words.every((word) => holds(texts[i], word))));
    });
    const wrapper = first.closest(".table-wrapper") ?? first;
    wrapper.parentNode.insertBefore(field, wrapper);
  }
});
